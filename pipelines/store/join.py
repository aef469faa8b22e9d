"""Outputs of one corpus side by side: their rows joined, with a part of each in memory.

Rows are matched by their number in the shard, whatever repeats among the ids, and the ids are held against each other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import pairwise

import numpy as np
import pyarrow as pa

from pipelines.errors import SpecError
from pipelines.spec import Storage
from pipelines.store.committed import CHUNKS, CommittedOutput, CommittedPart, Rows


@dataclass(frozen=True)
class Stretch:
    """Rows of a shard that no slice is cut within, and the part of each output that holds them; None: it has none."""

    first_row: int
    stop_row: int
    parts: tuple[CommittedPart | None, ...]


class JoinedOutputs:
    """The committed rows that several outputs of one corpus all have, their columns side by side.

    Iterating gives a pyarrow.Table for the rows from one cut to the next, whichever output is cut there: a part of each
    where they are sliced alike. Columns are those of the first output, then what the others have beside them. The id,
    columns passed through by both, and the places of chunks stand there once; another name that is taken gets the
    number of its output, as "embedding_2". Where an output has chunks, what others say of the document stands beside
    each of them.

    After an iteration ``num_rows`` counts the rows given, and ``missing``, by output, the documents that it lacks and
    another has: its dead letters, what --limit left, shards that were set aside or changed in between.

    SpecError where an output is none, has another id column or other chunks than the first, or no shard in common.

    >>> for table in JoinedOutputs(["s3://vectors/sotu/", "s3://predictions/sotu/"]):
    ...     print(table.column_names)
    """

    def __init__(self, outputs: Sequence[str], storage: Storage = Storage()) -> None:
        self._outputs = [CommittedOutput.open(uri, storage) for uri in outputs]
        self.num_rows = 0
        self.missing: dict[str, int] = {}
        names = [str(output.location) for output in self._outputs]
        if len(set(names)) < max(2, len(names)):
            raise SpecError(f"{', '.join(names) or 'nothing'} cannot be joined: name two outputs or more, each once")
        for other in self._outputs[1:]:
            self._check(self._outputs[0], other)

    def _check(self, first: CommittedOutput, other: CommittedOutput) -> None:
        both = f"{first.location} and {other.location}"
        if first.id_name != other.id_name:
            raise SpecError(f"{both} have ids of columns {first.id_name} and {other.id_name}: give both one --spec.id")
        if not first.parts.keys() & other.parts.keys():
            raise SpecError(f"{both} have no shard in common: join outputs of the same --documents, unchanged")

    def __iter__(self) -> Iterator[pa.Table]:
        self.num_rows, self.missing = 0, {str(output.location): 0 for output in self._outputs}
        documents = [lru_cache(maxsize=1)(output.documents) for output in self._outputs]
        read = [lru_cache(maxsize=1)(output.read) for output in self._outputs]
        for shard_id in dict.fromkeys(shard_id for output in self._outputs for shard_id in output.parts):
            for stretch in stretches([output.parts.get(shard_id, ()) for output in self._outputs]):
                sides = list(zip(stretch.parts, documents, read, strict=True))
                rows = [_within(of(part), stretch) if part else np.zeros(0, np.int64) for part, of, _ in sides]
                common = self._common(rows)
                if len(common):
                    tables = [_taken(*get(part), common) for part, _, get in sides if part]
                    joined = self._side_by_side(self._in_step(tables))
                    self.num_rows += joined.num_rows
                    yield joined

    def _common(self, rows: Sequence[Rows]) -> Rows:
        """The documents that all outputs have; those that only some have are counted."""
        num_all = len(reduce(np.union1d, rows))
        for output, found in zip(self._outputs, rows, strict=True):
            self.missing[str(output.location)] += num_all - len(found)
        return reduce(np.intersect1d, rows)

    def _in_step(self, tables: Sequence[tuple[pa.Table, Rows]]) -> list[pa.Table]:
        """Tables of the same documents, with their row numbers, made as long as the one that has chunks."""
        chunked = [place for place, (table, _) in enumerate(tables) if CHUNKS[0] in table.column_names]
        leader, rows = tables[chunked[0] if chunked else 0]
        for place in chunked:
            if not all(tables[place][0][name].equals(leader[name]) for name in CHUNKS):
                first, other = (self._outputs[number].location for number in (chunked[0], place))
                raise SpecError(f"{first} and {other} cut documents into different chunks: join outputs cut alike")
        return [
            table if place in chunked else table.take(pa.array(np.searchsorted(numbers, rows)))
            for place, (table, numbers) in enumerate(tables)
        ]

    def _side_by_side(self, tables: Sequence[pa.Table]) -> pa.Table:
        first = self._outputs[0]
        columns: dict[str, pa.ChunkedArray] = {}
        for place, (output, table) in enumerate(zip(self._outputs, tables, strict=True)):
            ids = table[output.id_name]
            if place and not ids.cast(columns[first.id_name].type).equals(columns[first.id_name]):
                both = f"{first.location} and {output.location}"
                raise SpecError(f"{both} have other ids for the same rows: one of them is of another corpus")
            columns |= _renamed(table, columns, place + 1, self._once(place))
        return pa.table(columns)

    def _once(self, place: int) -> set[str]:
        """Columns that an output has in common with those before it, which say the same of the same row."""
        passed = {name for before in self._outputs[:place] for name in before.passthrough}
        return {self._outputs[0].id_name, *CHUNKS, *(passed & self._outputs[place].passthrough)}


def stretches(parts: Sequence[Sequence[CommittedPart]]) -> Iterator[Stretch]:
    """One shard's rows from cut to cut, by the parts of each output, which are in order.

    Slices of 2 rows and of 3 are cut after 2, 3, 4 and 6.
    """
    cuts = {row for ours in parts for part in ours for row in (part.first_row, part.stop_row)}
    for first_row, stop_row in pairwise(sorted(cuts)):
        holding = tuple(_holding(ours, first_row) for ours in parts)
        if any(holding):
            yield Stretch(first_row, stop_row, holding)


def _holding(parts: Sequence[CommittedPart], row: int) -> CommittedPart | None:
    place = bisect_right(parts, row, key=lambda part: part.first_row) - 1
    return parts[place] if place >= 0 and row < parts[place].stop_row else None


def _within(documents: Rows, stretch: Stretch) -> Rows:
    return documents[slice(*np.searchsorted(documents, [stretch.first_row, stretch.stop_row]))]


def _taken(table: pa.Table, numbers: Rows, documents: Rows) -> tuple[pa.Table, Rows]:
    """The rows of a part that are of these documents, with their numbers."""
    kept = np.isin(numbers, documents)
    return table.filter(pa.array(kept)), numbers[kept]


def _renamed(table: pa.Table, taken: Mapping[str, object], number: int, once: set[str]) -> dict[str, pa.ChunkedArray]:
    """The columns that come beside those that are taken."""
    columns: dict[str, pa.ChunkedArray] = {}
    for name in table.column_names:
        if name in taken and name in once:
            continue
        free = name
        while free in taken or free in columns:
            free = f"{free}_{number}"
        columns[free] = table[name]
    return columns
