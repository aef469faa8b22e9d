"""The manifest: the table of committed parts, and per run which came and which went.

A ``Manifest`` is a value: each verb gives a new one, by vectorised arithmetic on one Arrow table
(``pipelines.schema.MANIFEST``), so a million parts are no burden. ``commit`` publishes it: the lease is checked, and
the put is conditional on the version that was read. A part that leaves keeps its row, with the run that removed it, so
that an index can follow run by run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.errors import LeaseError, StoreError
from pipelines.schema import MANIFEST
from pipelines.store.lease import Lease
from pipelines.store.location import Conflict, Location

KEY = "_manta/manifest.parquet"

PARTS = pa.schema(
    [
        MANIFEST.field(name)
        for name in (
            "shard_id",
            "part",
            "first_row",
            "num_documents",
            "num_rows",
            "num_dead_letters",
            "part_bytes",
            "part_version",
        )
    ]
)
"""Parts to be added: the columns of the manifest that a part brings with it, none of them null."""


@dataclass(frozen=True, kw_only=True)
class KnownShard:
    """What the manifest knows of a shard."""

    name: str
    """Path under the corpus."""
    shard_id: str
    size: int
    version: str
    num_rows: int | None = None
    """None: its footer could not be read."""
    set_aside: str | None = None
    """Why the shard, or the rest of it, was set aside."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The committed state of an output, or the one that is to be committed next."""

    table: pa.Table = field(default_factory=MANIFEST.empty_table)
    version: str | None = None
    """Of the manifest.parquet that was read; None: there is none yet."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Of its footer: model, model hash, pooling, ... as the last commit wrote it."""

    def live_parts(self) -> pa.Table:
        """The rows of the parts that are there."""
        return self.table.filter(pc.and_(_is_live(self.table), _has_part(self.table)))

    def shards(self) -> dict[str, KnownShard]:
        """The shards known, by shard_id: those with live parts, and those that have none but are remembered."""
        live = self.table.filter(_is_live(self.table)).select(MANIFEST.names[:6])
        firsts = [(name, "first") for name in live.column_names if name != "shard_id"]
        rows = live.group_by("shard_id", use_threads=False).aggregate(firsts)
        return {
            row["shard_id"]: KnownShard(
                name=row["shard_first"],
                shard_id=row["shard_id"],
                size=row["shard_bytes_first"],
                version=row["shard_version_first"],
                num_rows=row["shard_rows_first"],
                set_aside=row["set_aside_first"],
            )
            for row in rows.to_pylist()
        }

    def runs(self) -> list[str]:
        """Names of the runs that added or removed a part, sorted."""
        parts = self.table.filter(_has_part(self.table))
        names = pa.chunked_array([*parts["added_run"].chunks, *parts["removed_run"].chunks], pa.string())
        return sorted(pc.unique(names.drop_null()).to_pylist())

    def changes(self, run: str) -> tuple[pa.Table, pa.Table]:
        """The rows of the parts that came with a run, and of those that went. A part made anew is among both."""
        parts = self.table.filter(_has_part(self.table))
        came, went = pc.equal(parts["added_run"], run), pc.equal(parts["removed_run"], run)
        return parts.filter(came), parts.filter(went)

    def know(self, shards: Iterable[KnownShard], run: str) -> Manifest:
        """The manifest with these shards' facts, which replace what was known of them.

        A shard without live parts gets a row without a part, so that it is remembered.
        """
        facts = _facts(shards)
        ours = pc.and_(pc.is_in(self.table["shard_id"], _one(facts["shard_id"])), _is_live(self.table))
        parts = self.table.filter(pc.and_(ours, _has_part(self.table)))
        has_parts = pc.is_in(facts["shard_id"], _one(parts["shard_id"]))
        bare = facts.filter(pc.invert(has_parts))
        return self._with(
            self.table.filter(pc.invert(ours)),
            _with_facts(parts, facts),
            bare.append_column("added_run", _repeat(run, bare.num_rows)),
        )

    def add(self, parts: pa.Table, run: str) -> Manifest:
        """The manifest with further parts (``PARTS``) of shards that are known (see ``know``).

        A live part of the same name leaves if its version is another, and is left alone if it is the same. Raises
        ValueError for a part whose shard is not known, or that is there twice.
        """
        parts = parts.select(PARTS.names).cast(PARTS)
        if pc.count_distinct(parts["part"]).as_py() != parts.num_rows:
            raise ValueError("a part is to be added twice")
        live = self.live_parts()
        versions = live["part_version"].take(pc.index_in(parts["part"], _one(live["part"])))
        parts = parts.filter(pc.invert(pc.fill_null(pc.equal(versions, parts["part_version"]), False)))
        facts = _facts(self.shards().values())
        if not pc.all(pc.is_in(parts["shard_id"], _one(facts["shard_id"])), min_count=0).as_py():
            raise ValueError("a part is to be added of a shard that is not known: know it first")
        left = self.remove_parts(_one(parts["part"]), run).table
        bare = pc.and_(pc.invert(_has_part(left)), pc.is_in(left["shard_id"], _one(parts["shard_id"])))
        added = _with_facts(parts, facts).append_column("added_run", _repeat(run, parts.num_rows))
        return self._with(left.filter(pc.invert(bare)), added)

    def remove_parts(self, parts: Iterable[str] | pa.Array, run: str) -> Manifest:
        """The manifest with these parts (by key) gone with this run; those that are not live don't count.

        A shard that loses its last part so is known no more, and has to be looked at again.
        """
        theirs = pc.is_in(self.table["part"], _strings(parts))
        return self._gone(pc.and_(theirs, _has_part(self.table)), run)

    def remove_shards(self, shard_ids: Iterable[str] | pa.Array, run: str) -> Manifest:
        """The manifest with these shards gone with this run: their parts leave, and they are known no more."""
        theirs = pc.is_in(self.table["shard_id"], _strings(shard_ids))
        kept = self._with(self.table.filter(pc.invert(pc.and_(theirs, pc.invert(_has_part(self.table))))))
        return kept._gone(pc.is_in(kept.table["shard_id"], _strings(shard_ids)), run)

    def _gone(self, leaving: pa.ChunkedArray, run: str) -> Manifest:
        index = MANIFEST.get_field_index("removed_run")
        leaves = pc.and_(leaving, _is_live(self.table))
        removed = pc.if_else(leaves, pa.scalar(run), self.table["removed_run"])
        return replace(self, table=self.table.set_column(index, MANIFEST.field(index), removed))

    def _with(self, *tables: pa.Table) -> Manifest:
        whole = [_shaped(table) for table in tables]
        return replace(self, table=pa.concat_tables(whole))


def read_manifest(output: Location) -> Manifest:
    """The manifest of an output, empty where there is none yet. Raises StoreError where it can't be read."""
    try:
        data, version = output.read_versioned(KEY)
    except FileNotFoundError:
        return Manifest()
    try:
        table = pq.read_table(pa.BufferReader(data))
        if not table.schema.equals(MANIFEST, check_metadata=False):
            raise ValueError(f"its columns are not those of a manifest, but {', '.join(table.column_names)}")
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(
            f"{output.join(KEY)} cannot be read ({error}): restore it, or remove it and run again: it is made anew "
            "from the parts that are there, and only the record of which run brought them is lost"
        ) from error
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    return Manifest(table=table.replace_schema_metadata(None), version=version, metadata=metadata)


def commit(output: Location, manifest: Manifest, lease: Lease, metadata: Mapping[str, str]) -> Manifest:
    """Publish the manifest, with the metadata in its footer; give it back with its new version.

    The lease is checked right before, and the put succeeds only on the version that was read. Raises LeaseError where
    another run holds the output or has committed since: what is there then stays as it is.
    """
    order = [("shard", "ascending"), ("shard_id", "ascending"), ("first_row", "ascending"), ("added_run", "ascending")]
    table = manifest.table.sort_by(order).replace_schema_metadata(dict(metadata))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    lease.check()
    try:
        version = output.put_if(KEY, data, manifest.version)
    except Conflict:
        raise LeaseError(
            f"another run committed to {output} after this one had read its manifest: nothing was committed here; "
            "run again, and what is done is found and kept"
        ) from None
    return replace(manifest, table=table.replace_schema_metadata(None), version=version, metadata=dict(metadata))


def _facts(shards: Iterable[KnownShard]) -> pa.Table:
    """Shards as columns of the manifest, one row each."""
    known = list({shard.shard_id: shard for shard in shards}.values())
    columns = {
        "shard": [shard.name for shard in known],
        "shard_id": [shard.shard_id for shard in known],
        "shard_bytes": [shard.size for shard in known],
        "shard_version": [shard.version for shard in known],
        "shard_rows": [shard.num_rows for shard in known],
        "set_aside": [shard.set_aside for shard in known],
    }
    return pa.table(columns, pa.schema([MANIFEST.field(name) for name in columns]))


def _with_facts(rows: pa.Table, facts: pa.Table) -> pa.Table:
    """The rows with the facts of their shards, in the place of what they say of them."""
    rows = rows.drop_columns([name for name in facts.column_names if name in rows.column_names and name != "shard_id"])
    found = facts.take(pc.index_in(rows["shard_id"], _one(facts["shard_id"])))
    for name in facts.column_names:
        rows = rows if name == "shard_id" else rows.append_column(facts.field(name), found[name])
    return rows


def _shaped(table: pa.Table) -> pa.Table:
    """The columns of the manifest in their order; those that the table lacks are null."""
    columns = [
        table[spec.name].cast(spec.type) if spec.name in table.column_names else pa.nulls(table.num_rows, spec.type)
        for spec in MANIFEST
    ]
    return pa.table(columns, schema=MANIFEST)


def _is_live(table: pa.Table) -> pa.ChunkedArray:
    return pc.is_null(table["removed_run"])


def _has_part(table: pa.Table) -> pa.ChunkedArray:
    return pc.is_valid(table["part"])


def _repeat(value: str, times: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), times)


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks()  # a set of values must be one array


def _strings(values: Iterable[str] | pa.Array) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(list(values), pa.string())
