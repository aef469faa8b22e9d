"""Shards as streams of slices: cut greedily, in little memory, the same cuts whatever the row groups are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import ShardError, StoreError
from pipelines.spec import Slicing, Storage
from pipelines.store.columns import plain, row_bytes
from pipelines.store.shards import Shard, check_version, open_shard

MAX_BATCH_ROWS = 1024
SAMPLE_ROWS = 64
PAUSES = (1.0, 5.0, 20.0)
"""Seconds to wait before a stream that the network broke is taken up again."""


@dataclass(frozen=True, kw_only=True)
class SliceReading:
    """What is read of shards, and how it is cut."""

    columns: Sequence[str]
    """Names, in the order in which the slices have them."""
    slicing: Slicing
    output_row_bytes: int
    """Bytes of a row in a part, as estimated."""
    storage: Storage = Storage()

    @property
    def max_rows(self) -> int:
        """Most rows of a slice, by the limit of rows or by that of the output."""
        slicing = self.slicing
        return max(1, min(slicing.max_rows, slicing.max_output_bytes // max(1, self.output_row_bytes)))

    @property
    def max_bytes(self) -> int:
        """Most bytes of a slice, all columns read."""
        return self.slicing.max_bytes


def read_slices(shard: Shard, first_row: int, stop_row: int, reading: SliceReading) -> Iterator[tuple[int, pa.Table]]:
    """The rows first_row..stop_row of a shard as slices: (first row, table of the columns).

    A slice ends before it would pass ``slicing.max_rows``, ``slicing.max_bytes`` of ``row_bytes`` or
    ``slicing.max_output_bytes`` at ``output_row_bytes`` a row, but has one row at least. So the cuts depend on the
    rows alone, and a stream that starts on a cut goes on with the same cuts.

    Raises ShardError, after the whole slices before it, where the shard breaks, lacks a column or is not the version
    that was planned any more; StoreError where the world fails, after some retries.
    """
    pauses = iter(PAUSES)
    while True:
        try:
            for first, table in _slices(shard, first_row, stop_row, reading):
                yield first, table
                first_row = first + table.num_rows
            return
        except StoreError:
            pause = next(pauses, None)
            if pause is None:
                raise
            time.sleep(pause)


def cut(sizes: np.ndarray, max_rows: int, max_bytes: int) -> int:
    """How many rows, of these sizes in bytes, the first slice takes: one at least."""
    fitting = int(np.searchsorted(np.cumsum(sizes[:max_rows]), max_bytes, side="right"))
    return max(1, fitting)


def whole(sizes: np.ndarray, max_rows: int, max_bytes: int) -> int:
    """How many rows the first slice takes whatever comes after these; 0 while that is not sure.

    Full to the byte is not sure: a row of nulls may have no bytes.
    """
    taken = cut(sizes, max_rows, max_bytes)
    if taken < len(sizes):
        return taken
    full = taken == max_rows or int(sizes.sum()) > max_bytes
    return taken if full and taken == len(sizes) else 0


def _slices(shard: Shard, first_row: int, stop_row: int, reading: SliceReading) -> Iterator[tuple[int, pa.Table]]:
    waiting: list[pa.RecordBatch] = []
    sizes = np.zeros(0, np.int64)
    for batch in _batches(shard, first_row, stop_row, reading):
        waiting.append(batch)
        sizes = np.concatenate([sizes, row_bytes(batch)])
        # Each slice goes as soon as it is whole: where the shard breaks, none that was read is lost with the rest.
        while taken := whole(sizes, reading.max_rows, reading.max_bytes):
            check_version(shard, reading.storage)
            yield first_row, _take(waiting, taken)
            first_row, sizes = first_row + taken, sizes[taken:]
    if len(sizes):
        check_version(shard, reading.storage)
        yield first_row, _take(waiting, len(sizes))
        first_row += len(sizes)
    if first_row != stop_row:
        raise ShardError(
            f"{shard.name} ends at row {first_row}, not at row {stop_row} as its footer says: write it anew"
        )


def _take(waiting: list[pa.RecordBatch], count: int) -> pa.Table:
    """The first ``count`` rows of the batches, as one chunk of its own; what is left stays in the list."""
    taken: list[pa.RecordBatch] = []
    while count:
        batch = waiting.pop(0)
        if batch.num_rows > count:
            waiting.insert(0, batch.slice(count))
            batch = batch.slice(0, count)
        taken.append(batch)
        count -= batch.num_rows
    return pa.Table.from_batches(taken).combine_chunks()


def _batches(shard: Shard, first_row: int, stop_row: int, reading: SliceReading) -> Iterator[pa.RecordBatch]:
    """The rows first_row..stop_row in small batches. Row groups outside of them are not read."""
    with open_shard(shard, reading.storage) as file:
        _check_columns(shard, file, reading.columns)
        begin = 0
        for number in range(file.metadata.num_row_groups):
            num_rows = file.metadata.row_group(number).num_rows
            if begin + num_rows > first_row and begin < stop_row:
                rows = (max(first_row - begin, 0), min(stop_row - begin, num_rows))
                yield from _group(file, number, rows, reading)
            begin += num_rows


def _group(file: pq.ParquetFile, number: int, rows: tuple[int, int], reading: SliceReading) -> Iterator[pa.RecordBatch]:
    """These rows of one row group. Where batches grow beyond a slice, smaller ones follow."""
    done, stop = rows
    columns, max_bytes = list(reading.columns), reading.max_bytes
    batch_rows = _batch_rows(file, number, columns, max_bytes)
    while done < stop:
        for batch in _from(file, number, done, columns, batch_rows):
            batch = batch.slice(0, stop - done)
            yield plain(batch)
            done += batch.num_rows
            if done == stop:
                return
            if batch.nbytes > max_bytes and batch.num_rows > 1:
                batch_rows = max(1, batch.num_rows * max_bytes // 8 // batch.nbytes)
                break
        else:
            return


def _from(
    file: pq.ParquetFile, number: int, first: int, columns: list[str], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    for batch in file.iter_batches(batch_rows, row_groups=[number], columns=columns, use_threads=False):
        if first < batch.num_rows:
            yield batch.select(columns).slice(first)
        first = max(0, first - batch.num_rows)


def _batch_rows(file: pq.ParquetFile, number: int, columns: list[str], max_bytes: int) -> int:
    """Rows of some 1/8 slice. The footer alone does not tell, since values that repeat count once in it."""
    num_rows = file.metadata.row_group(number).num_rows
    row_bytes = _stored_bytes(file, number, columns) // max(1, num_rows)
    if num_rows <= 4 * MAX_BATCH_ROWS:
        return min(SAMPLE_ROWS, max(1, max_bytes // 8 // max(1, row_bytes)))
    sample = next(file.iter_batches(SAMPLE_ROWS, row_groups=[number], columns=columns, use_threads=False))
    row_bytes = max(row_bytes, sample.nbytes // max(1, sample.num_rows))
    return min(MAX_BATCH_ROWS, max(1, max_bytes // 8 // max(1, row_bytes)))


def _stored_bytes(file: pq.ParquetFile, number: int, columns: list[str]) -> int:
    """Bytes of these columns in the row group, encoded, not compressed."""
    group = file.metadata.row_group(number)
    chunks = (group.column(i) for i in range(group.num_columns))
    wanted = (chunk for chunk in chunks if chunk.path_in_schema.startswith(tuple(columns)))
    return sum(int(chunk.total_uncompressed_size) for chunk in wanted)


def _check_columns(shard: Shard, file: pq.ParquetFile, columns: Sequence[str]) -> None:
    names = file.schema_arrow.names
    for name in columns:
        if names.count(name) != 1:
            found = "several columns" if name in names else "no column"
            raise ShardError(f"{shard.name} has {found} {name!r} (its columns: {', '.join(names)})")
