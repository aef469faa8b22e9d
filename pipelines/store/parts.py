"""The output: parts, one a slice, each named by the rows that it holds and published in one move.

A listing of the parts is the ledger of what is done. A slice's dead letters lie beside, under the same name; they are
put first, and count once the part is there. A part of which rows were forgotten (``pipelines.store.forgetting``) is
another edition of it, and has its number in its name: it stands beside the one before until the manifest names it.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import StoreError
from pipelines.instances import HELD_OUT
from pipelines.schema import DEAD_LETTERS, EMBEDDING, SliceHeader
from pipelines.store.copies import copies_key, digests_key
from pipelines.store.failures import explain, is_outside
from pipelines.store.location import Entry, Location

PARTS = "parts/"
DEAD = "_manta/dead_letters/"
NAME = re.compile(r"parts/([0-9a-f]{16})/(\d+)-(\d+)(?:\.(\d+))?\.parquet")
COUNTS = ("num_documents", "num_rows", "num_dead_letters")


@dataclass(frozen=True, slots=True)
class PartEntry:
    """One part as a listing shows it: the rows first_row .. first_row + num_documents of a shard."""

    shard_id: str
    first_row: int
    num_documents: int
    size: int
    version: str
    edition: int = 0
    """How often rows of it were forgotten."""

    @property
    def key(self) -> str:
        """Its path under the output."""
        return part_key(self.shard_id, self.first_row, self.num_documents, self.edition)

    @property
    def slice_key(self) -> str:
        """What all editions of it have in common: the path of the first."""
        return part_key(self.shard_id, self.first_row, self.num_documents)


def part_key(shard_id: str, first_row: int, num_documents: int, edition: int = 0) -> str:
    """Path under the output of the part that holds these rows of a shard."""
    return f"{PARTS}{shard_id}/{first_row}-{num_documents}{f'.{edition}' if edition else ''}.parquet"


def dead_letters_key(part: str) -> str:
    """Path under the output of the dead letters that belong to the part of this path."""
    return f"{DEAD}{part.removeprefix(PARTS)}"


def held_out_key(part: str) -> str:
    """Path under the output of the held-out instances that belong to the part of this path."""
    return f"{HELD_OUT}{part.removeprefix(PARTS)}"


def keys_beside(part: str) -> list[str]:
    """Paths under the output of all that may lie beside the part of this path, or its shard, and leaves with them."""
    shard_id = part.split("/")[1]
    return [dead_letters_key(part), held_out_key(part), digests_key(shard_id), copies_key(shard_id)]


def list_parts(output: Location) -> Iterator[PartEntry]:
    """Every part that is there, page by page. Files of other names are none of ours."""
    for entry in output.list(PARTS):
        if part := part_of(entry):
            yield part


def part_of(entry: Entry) -> PartEntry | None:
    """The part that a file is by its name; None: it is none of ours."""
    found = NAME.fullmatch(entry.key)
    if not found:
        return None
    shard_id, first_row, num_documents, edition = found.groups()
    return PartEntry(
        sys.intern(shard_id), int(first_row), int(num_documents), entry.size, entry.version, int(edition or 0)
    )


def publish(
    output: Location,
    header: SliceHeader,
    table: pa.Table,
    metadata: Mapping[str, str],
    *,
    held_out: pa.Table | None = None,
    group_rows: int = 0,
    edition: int = 0,
) -> PartEntry:
    """Write a slice's dead letters, then its part; a part of the same rows that is there is replaced.

    The footer carries the metadata, the counts (``read_part_counts``) and the shard's name. Equal tables and metadata
    give equal bytes. Rows that are ``held_out`` go into a file of their own, which is put before the part like the dead
    letters. A row group has ``group_rows`` at most; 0: it has them all. StoreError where the world fails: then no part
    is there, or the old one.
    """
    key = part_key(header.shard_id, header.first_row, header.num_documents, edition)
    if header.dead_letters:
        output.put(dead_letters_key(key), part_bytes(_dead_letters(header)))
    counts = (header.num_documents, table.num_rows, len(header.dead_letters))
    facts = {**metadata, **dict(zip(COUNTS, map(str, counts), strict=True)), "shard": header.shard}
    if held_out is not None and held_out.num_rows:
        theirs = facts | {"num_rows": str(held_out.num_rows)}
        output.put(held_out_key(key), part_bytes(held_out.replace_schema_metadata(theirs), group_rows))
    entry = output.put(key, part_bytes(table.replace_schema_metadata(facts), group_rows))
    return PartEntry(header.shard_id, header.first_row, header.num_documents, entry.size, entry.version, edition)


def read_part_counts(output: Location, entry: PartEntry) -> tuple[int, int, int]:
    """(num_documents, num_rows, num_dead_letters) as the part's footer says; StoreError if it is no part of ours."""
    documents, rows, dead = map(int, read_facts(output, entry, COUNTS))
    return documents, rows, dead


def read_shard_name(output: Location, entry: PartEntry) -> str:
    """Path under the corpus of the shard that the part is of, as its footer says; StoreError if it is none of ours."""
    return read_facts(output, entry, ("shard",))[0]


def read_facts(output: Location, entry: PartEntry, names: Iterable[str]) -> list[str]:
    """What the part's footer says under these names; StoreError if it is no part of ours, or lacks one."""
    try:
        filesystem, path = output.arrow(entry.key)
        with filesystem.open_input_file(path) as source:
            facts = pq.read_schema(source).metadata or {}
        return [facts[name.encode()].decode() for name in names]
    except (KeyError, ValueError, OSError) as error:
        if isinstance(error, KeyError | ValueError) or is_outside(error):
            raise StoreError(
                f"{output.join(entry.key)} is no part that can be read: {explain(error)}; remove it and run again"
            ) from error
        raise


def read_column(output: Location, part: str, name: str) -> pa.ChunkedArray:
    """One column of the part of this path, read without the others; StoreError where that fails."""
    try:
        filesystem, path = output.arrow(part)
        with filesystem.open_input_file(path) as source:
            return pq.read_table(source, columns=[name])[name]
    except (KeyError, OSError, pa.ArrowException) as error:
        raise StoreError(f"column {name!r} of {output.join(part)} can't be read: {explain(error)}") from error


def read_counts(output: Location, entries: Iterable[PartEntry], threads: int = 64) -> dict[str, tuple[int, int, int]]:
    """``read_part_counts`` of many parts, by key."""
    parts = list(entries)
    with ThreadPoolExecutor(threads, "counts") as pool:
        return {
            part.key: counts
            for part, counts in zip(parts, pool.map(lambda p: read_part_counts(output, p), parts), strict=True)
        }


def read_dead_letters(output: Location, parts: Iterable[str]) -> pa.Table:
    """The dead letters (``pipelines.schema.DEAD_LETTERS``) of the parts of these paths, where they have any."""
    tables = [DEAD_LETTERS.empty_table()]
    for part in parts:
        try:
            data = output.read(dead_letters_key(part))
        except FileNotFoundError:
            continue
        tables.append(pq.read_table(pa.BufferReader(data)).cast(DEAD_LETTERS))
    return pa.concat_tables(tables)


def _dead_letters(header: SliceHeader) -> pa.Table:
    rows = [{"shard": header.shard, "shard_id": header.shard_id, **vars(letter)} for letter in header.dead_letters]
    return pa.Table.from_pylist(rows, DEAD_LETTERS)


def part_bytes(table: pa.Table, group_rows: int = 0) -> bytes:
    """The table as a file of Parquet, in row groups of so many rows; 0: in one.

    Vectors are stored as they are: they neither compress nor repeat.
    """
    others = [leaf for field in table.schema if not _is_vector(field) for leaf in _leaves(field)]
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        row_group_size=group_rows or max(1, table.num_rows),
        compression=dict.fromkeys(others, "zstd"),
        use_dictionary=others,
        write_statistics=others,
    )
    return sink.getvalue()


def _is_vector(field: pa.Field) -> bool:
    """Whether a column holds vectors. A fixed_size_binary may be something else: an id, a digest."""
    codes = field.name == EMBEDDING and pa.types.is_fixed_size_binary(field.type)
    return codes or pa.types.is_fixed_size_list(field.type)


def _leaves(field: pa.Field, above: str = "") -> Iterator[str]:
    """Paths, as Parquet has them, of the columns of plain values that a field becomes."""
    path, kind = f"{above}{field.name}", field.type
    if pa.types.is_struct(kind):
        for child in kind:
            yield from _leaves(child, f"{path}.")
    elif pa.types.is_map(kind):
        yield from _leaves(kind.key_field.with_name("key"), f"{path}.key_value.")
        yield from _leaves(kind.item_field.with_name("value"), f"{path}.key_value.")
    elif hasattr(kind, "value_field"):
        yield from _leaves(kind.value_field.with_name("element"), f"{path}.list.")
    else:
        yield path
