"""Rows forgotten: those of given ids leave every part of an output, as one, and their bytes with them.

A part that holds some is written anew without them, beside the old one, as its next edition; the manifest that names
the new ones in the old ones' place is the commit; then the old files are removed. Cut off before the commit, nothing
has changed for who reads the manifest; after it, all has: the same command goes on in either case, and so does the
next run of the job.

The documents are dead letters of their parts from then on, by their row numbers, with the reason that they were
forgotten. So a part still says what became of each row of its slice, and a run over the same corpus has nothing to do
there. A part of which rows were forgotten is not made again for --retry_dead_letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.errors import SpecError
from pipelines.schema import DeadLetter, SliceHeader
from pipelines.spec import Storage
from pipelines.store.committed import CommittedOutput, CommittedPart
from pipelines.store.lease import Lease
from pipelines.store.location import Entry, Location, locate
from pipelines.store.manifest import PARTS, Manifest, commit, read_manifest
from pipelines.store.output import read_spec
from pipelines.store.parts import (
    PartEntry,
    dead_letters_key,
    list_parts,
    part_key,
    part_of,
    publish,
    read_column,
    read_dead_letters,
)

KINDS = ("EmbedSpec", "PredictSpec")
"""Whose rows are of one document each."""
STAGE, REASON = "forget", "the row was forgotten, as somebody asked"
READERS, WRITERS = 64, 8
"""Threads that read ids, and those that write parts, each with one in memory."""


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What was removed, and the proof."""

    num_ids: int
    num_rows: int
    """Rows removed."""
    num_parts: int
    """Parts that held them."""
    missing: pa.Array
    """Ids of which there was no row."""
    num_parts_read: int
    """Parts that were read again afterwards: all there are."""
    num_rows_read: int
    num_left: int
    """Of these rows, those that have such an id: 0, or something else writes there."""


@dataclass(frozen=True, kw_only=True)
class Edition:
    """A part as it is to be committed in the place of another one."""

    old: str
    part: PartEntry
    num_rows: int
    num_dead_letters: int


def read_ids(uri: str, id_name: str, storage: Storage = Storage()) -> pa.Array:
    """The ids in a Parquet file, each once: of the column of that name, or of the only one. SpecError."""
    file = locate(uri, storage)
    try:
        table = pq.read_table(pa.BufferReader(file.read()))
    except FileNotFoundError:
        raise SpecError(f"{file} is not there: name a Parquet file of ids to forget") from None
    except pa.ArrowException:
        raise SpecError(f"{file} is no Parquet file: write the ids to forget as Parquet") from None
    if id_name not in table.column_names and table.num_columns != 1:
        raise SpecError(
            f"{file} has no column {id_name!r}, which the output's ids are in: name it so, or leave it alone"
        )
    column = table[id_name if id_name in table.column_names else 0]
    if column.null_count:
        raise SpecError(f"{file} has {column.null_count} ids that are null: leave them out")
    return pc.unique(column)


def forget(output: Location, ids_uri: str, lease: Lease, run: str) -> Forgotten:
    """Remove the rows of the ids in a Parquet file from every part; read every part again, and count.

    SpecError where there are no such outputs or ids, or parts that no run has committed; StoreError, LeaseError.
    """
    spec, manifest = read_spec(output), read_manifest(output)
    committed = CommittedOutput.open(output.uri, output.storage)
    if spec is None or spec.kind not in KINDS:
        raise SpecError(
            f"{output} holds results of {spec and spec.kind}, of which a row may be of several documents: remove the "
            "ids from the corpus, and make it anew"
        )
    ids = read_ids(ids_uri, committed.id_name, output.storage)
    _settle(output, manifest)
    parts = [part for parts in committed.parts.values() for part in parts]
    found = _find(output, [part.key for part in parts], committed.id_name, ids)
    holding = [part for part in parts if len(found[part.key][1])]
    with ThreadPoolExecutor(WRITERS, "editions") as pool:
        editions = list(pool.map(lambda part: _without(committed, part, ids), holding))
    if editions:
        commit(output, _named(manifest, editions, run), lease, manifest.metadata)
        output.remove(key for edition in editions for key in (edition.old, dead_letters_key(edition.old)))
    there = _find(output, [part.key for part in list_parts(output)], committed.id_name, ids)
    seen = np.zeros(len(ids), bool)
    for _, places in found.values():
        seen[places] = True
    return Forgotten(
        num_ids=len(ids),
        num_rows=sum(len(places) for _, places in found.values()),
        num_parts=len(editions),
        missing=ids.filter(pa.array(~seen)),
        num_parts_read=len(there),
        num_rows_read=sum(num_rows for num_rows, _ in there.values()),
        num_left=sum(len(places) for _, places in there.values()),
    )


def superseded(listing: Iterable[PartEntry], manifest: Manifest) -> list[PartEntry]:
    """Parts of which the manifest names another edition: what a command that was cut off has left."""
    live = manifest.live_parts().select(["part", "shard_id", "first_row", "num_documents"]).to_pylist()
    named = {row["part"] for row in live}
    slices = {part_key(row["shard_id"], row["first_row"], row["num_documents"]) for row in live}
    return [part for part in listing if part.key not in named and part.slice_key in slices]


def _settle(output: Location, manifest: Manifest) -> None:
    """Remove what a command that was cut off has left. SpecError where else parts are not as the manifest has them."""
    live = manifest.live_parts()
    named = dict(zip(live["part"].to_pylist(), live["part_version"].to_pylist(), strict=True))
    listing = list(list_parts(output))
    left = {part.key for part in superseded(listing, manifest)}
    there = {part.key: part.version for part in listing if part.key not in left}
    others = sorted(key for key in named.keys() | there.keys() if named.get(key) != there.get(key))
    if others:
        raise SpecError(
            f"{len(others)} parts of {output} (such as {others[0]}) are not as its manifest has them, since a run was "
            "cut off: run the job again to its end, or remove parts without a commit by --vacuum, and then forget"
        )
    output.remove(key for part in left for key in (part, dead_letters_key(part)))


def _find(
    output: Location, parts: Iterable[str], id_name: str, ids: pa.Array
) -> Mapping[str, tuple[int, npt.NDArray[np.int64]]]:
    """By part how many rows it has, and of those that have one of the ids, which."""

    def look(part: str) -> tuple[int, npt.NDArray[np.int64]]:
        column = read_column(output, part, id_name)
        return len(column), pc.index_in(column, value_set=_as(ids, column.type)).drop_null().to_numpy()

    keys = list(parts)
    with ThreadPoolExecutor(READERS, "ids") as pool:
        return dict(zip(keys, pool.map(look, keys), strict=True))


def _as(ids: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return ids.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SpecError(
            f"the ids to forget are of type {ids.type}, and those of the output {kind}: cast them"
        ) from None


def _without(committed: CommittedOutput, part: CommittedPart, ids: pa.Array) -> Edition:
    """Write the part without the rows of these ids, beside it."""
    table, rows = committed.read_noted(part)
    column = table[committed.id_name]
    gone = pc.is_in(column, value_set=_as(ids, column.type))
    noted = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    old = part_of(Entry(part.key, 0, ""))
    assert old is not None, part.key
    letters = tuple(sorted(_letters(committed, part, rows[gone.to_numpy()]), key=lambda letter: letter.row))
    header = SliceHeader(
        shard=noted["shard"], shard_id=old.shard_id, first_row=part.first_row, num_documents=part.num_documents,
        dead_letters=letters,
    )  # fmt: skip
    kept = table.filter(pc.invert(gone))
    entry = publish(committed.location, header, kept, noted, edition=old.edition + 1)
    return Edition(old=part.key, part=entry, num_rows=kept.num_rows, num_dead_letters=len(letters))


def _letters(committed: CommittedOutput, part: CommittedPart, gone: npt.NDArray[np.int64]) -> Iterator[DeadLetter]:
    """Those that the part has, and one of each document that is gone."""
    for letter in read_dead_letters(committed.location, [part.key]).to_pylist():
        yield DeadLetter(row=letter["row"], stage=letter["stage"], reason=letter["reason"])
    for row in np.unique(gone):
        yield DeadLetter(row=int(row), stage=STAGE, reason=REASON)


def _named(manifest: Manifest, editions: Iterable[Edition], run: str) -> Manifest:
    """The manifest with new editions in the old ones' place."""
    known = manifest.shards()
    rows = [
        (e.part.shard_id, e.part.key, e.part.first_row, e.part.num_documents, e.num_rows, e.num_dead_letters,
         e.part.size, e.part.version)
        for e in editions
    ]  # fmt: skip
    parts = pa.table([list(column) for column in zip(*rows, strict=True)], schema=PARTS)
    shards = [known[shard_id] for shard_id in {row[0] for row in rows}]
    return manifest.remove_parts([e.old for e in editions], run).know(shards, run).add(parts, run)
