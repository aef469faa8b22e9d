"""A stream of rows cut into shards of about one size, though nobody knows how many rows will come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from pipelines.store.columns import row_bytes


class Size(NamedTuple):
    """Rows, and bytes of their values."""

    rows: int
    num_bytes: int

    def reaches(self, other: Size) -> bool:
        """Whether it is as much in either."""
        return self.rows >= other.rows or self.num_bytes >= other.num_bytes

    def plus(self, other: Size) -> Size:
        """The sum."""
        return Size(self.rows + other.rows, self.num_bytes + other.num_bytes)


def cut(batches: Iterator[pa.RecordBatch], full: Size) -> Iterator[Iterator[pa.RecordBatch]]:
    """Shards, each as a stream of its batches, which has to be read to its end before the next.

    A shard ends where it is full, in rows exactly, in bytes with the batch that fills it; but if less than half a shard
    would follow, it takes that as well. So all have between half of ``full`` and half as much again, but for one that
    is alone. Half a shard is in memory at most.
    """
    ahead = _Ahead(batches)
    while ahead.holds(Size(1, 1)):
        yield _shard(ahead, full)


def _shard(ahead: _Ahead, full: Size) -> Iterator[pa.RecordBatch]:
    half = Size((full.rows + 1) // 2, (full.num_bytes + 1) // 2)
    done = Size(0, 0)
    while not done.reaches(full) and ahead.holds(Size(1, 1)):
        batch, size = ahead.pop(full.rows - done.rows)
        done = done.plus(size)
        yield batch
    while not ahead.holds(half) and ahead.holds(Size(1, 1)):
        yield ahead.pop()[0]


class _Ahead:
    """Batches that were read before they are asked for."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._waiting: deque[tuple[pa.RecordBatch, Size]] = deque()
        self._held = Size(0, 0)

    def holds(self, size: Size) -> bool:
        """Whether as much as this follows, in rows or bytes. It is read as far as needed to tell."""
        while not self._held.reaches(size):
            batch = next(self._batches, None)
            if batch is None:
                return False
            if batch.num_rows:
                self._push(batch)
        return True

    def pop(self, most_rows: int = 2**62) -> tuple[pa.RecordBatch, Size]:
        """The next batch, of so many rows at most; it is there."""
        batch, size = self._waiting.popleft()
        self._held = Size(self._held.rows - size.rows, self._held.num_bytes - size.num_bytes)
        if batch.num_rows <= most_rows:
            return batch, size
        self._push(batch.slice(most_rows), first=True)
        batch = batch.slice(0, most_rows)
        return batch, _size(batch)

    def _push(self, batch: pa.RecordBatch, first: bool = False) -> None:
        size = _size(batch)
        (self._waiting.appendleft if first else self._waiting.append)((batch, size))
        self._held = self._held.plus(size)


def _size(batch: pa.RecordBatch) -> Size:
    return Size(batch.num_rows, int(row_bytes(batch).sum()))
