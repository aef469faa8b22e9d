"""Outputs of one corpus side by side: their rows joined, a stretch of rows at a time.

Rows are matched by their number in the shard, whatever repeats among the ids, and the ids are held against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce

import numpy as np
import pyarrow as pa

from pipelines.errors import SpecError
from pipelines.spec import Storage
from pipelines.store.committed import CHUNKS, CommittedOutput, CommittedPart, Rows

Parts = list[CommittedPart]


class JoinedOutputs:
    """The committed rows that several outputs of one corpus all have, their columns side by side.

    Iterating gives a pyarrow.Table for each stretch of rows at whose end the outputs' slices end together: a part of
    each where they are sliced alike. Columns are those of the first output, then what the others have beside them. The
    id, columns passed through by both, and the places of chunks stand there once; another name that is taken gets the
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
        for shard_id in dict.fromkeys(shard_id for output in self._outputs for shard_id in output.parts):
            for stretch in stretches([output.parts.get(shard_id, ()) for output in self._outputs]):
                table = self._join(stretch)
                if table is not None:
                    self.num_rows += table.num_rows
                    yield table

    def _join(self, stretch: Sequence[Parts]) -> pa.Table | None:
        """The rows of a stretch that all outputs have; None where there is none."""
        sides = list(zip(self._outputs, stretch, strict=True))
        documents = [[output.documents(part) for part in parts] for output, parts in sides]
        rows = [np.concatenate([np.zeros(0, np.int64), *found]) for found in documents]
        num_all = len(reduce(np.union1d, rows))
        for output, found in zip(self._outputs, rows, strict=True):
            self.missing[str(output.location)] += num_all - len(found)
        common = reduce(np.intersect1d, rows)
        if not len(common):
            return None
        tables = [_read(output, parts, of, common) for (output, parts), of in zip(sides, documents, strict=True)]
        return self._side_by_side(self._in_step(tables))

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


def stretches(parts: Sequence[Sequence[CommittedPart]]) -> Iterator[list[Parts]]:
    """Parts of one shard, by output, in the smallest groups that no part reaches across.

    Slices of 2 rows and of 3 rows end together after 6.
    """
    ordered = sorted(
        ((part, output) for output, ours in enumerate(parts) for part in ours), key=lambda pair: pair[0].first_row
    )
    group: list[Parts] = [[] for _ in parts]
    stop_row = 0
    for part, output in ordered:
        if part.first_row >= stop_row and any(group):
            yield group
            group = [[] for _ in parts]
        group[output].append(part)
        stop_row = max(stop_row, part.stop_row)
    if any(group):
        yield group


def _read(output: CommittedOutput, parts: Parts, documents: Sequence[Rows], common: Rows) -> tuple[pa.Table, Rows]:
    """The rows of these parts that are of common documents, and the numbers of these documents."""
    tables, rows = zip(*(output.read(part, of) for part, of in zip(parts, documents, strict=True)), strict=True)
    numbers = np.concatenate(rows)
    kept = np.isin(numbers, common)
    return pa.concat_tables(tables).filter(pa.array(kept)), numbers[kept]


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
