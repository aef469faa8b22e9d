"""Shards of about one size, of a stream whose length nobody knows."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages.even_shards import Size, cut

MANY = 10**9


def batches(*sizes: int) -> Iterator[pa.RecordBatch]:
    """Batches of so many rows, numbered through; each row has 8 bytes."""
    done = 0
    for size in sizes:
        yield pa.record_batch({"n": pa.array(range(done, done + size), pa.int64())})
        done += size


def rows(found: Iterator[Iterator[pa.RecordBatch]]) -> list[list[int]]:
    return [[n for batch in shard for n in batch["n"].to_pylist()] for shard in found]


@pytest.mark.parametrize(
    ("sizes", "full", "expected"),
    [
        ((), Size(4, MANY), []),
        ((0, 0), Size(4, MANY), []),
        ((3,), Size(4, MANY), [3]),
        ((3, 3, 3), Size(4, MANY), [4, 5]),  # one row would be left: less than half a shard
        ((10,), Size(4, MANY), [4, 4, 2]),
        ((1,) * 9, Size(4, MANY), [4, 5]),
        ((5, 5), Size(MANY, 32), [5, 5]),  # 32 bytes are 4 rows, but a batch is not cut for bytes
        ((1,) * 10, Size(MANY, 32), [4, 4, 2]),
        ((1,) * 3, Size(1, MANY), [1, 1, 1]),
    ],
)
def test_shards_are_even(sizes: tuple[int, ...], full: Size, expected: list[int]) -> None:
    assert [len(shard) for shard in rows(cut(batches(*sizes), full))] == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 12))
def test_no_row_is_lost_or_doubled_and_none_is_alone(sizes: list[int], full: int) -> None:
    found = rows(cut(batches(*sizes), Size(full, MANY)))
    assert [n for shard in found for n in shard] == list(range(sum(sizes)))
    if len(found) > 1:
        assert all((full + 1) // 2 <= len(shard) < full + (full + 1) // 2 for shard in found)


def test_half_a_shard_is_read_ahead_at_most() -> None:
    read = 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal read
        for batch in batches(*[1] * 100):
            read += 1
            yield batch

    done = 0
    for shard in cut(counted(), Size(20, MANY)):
        for _ in shard:
            done += 1
            assert read - done <= 10
    assert done == 100
