from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.duplicates import find_copies


def copies(shards: list[list[int]], num_passes: int = 1) -> list[list[int]]:
    arrays = [np.array(shard, np.uint64) for shard in shards]
    return [rows.tolist() for rows in find_copies(lambda: iter(arrays), num_passes)]


def test_the_first_of_equal_ones_is_no_copy() -> None:
    assert copies([[5, 7, 5], [7, 9], [], [9, 9, 1]]) == [[2], [0], [], [0, 1]]


def test_there_may_be_nothing() -> None:
    assert copies([]) == []
    assert copies([[]]) == [[]]


@given(st.lists(st.lists(st.integers(0, 12), max_size=8), max_size=5), st.integers(1, 4))
def test_copies_are_found_as_by_looking_back_one_by_one(shards: list[list[int]], num_passes: int) -> None:
    seen: set[int] = set()
    expected = []
    for shard in shards:
        rows = []
        for row, digest in enumerate(shard):
            if digest in seen:
                rows.append(row)
            seen.add(digest)
        expected.append(rows)
    assert copies(shards, num_passes) == expected


@pytest.mark.parametrize("num_passes", [1, 3])
def test_large_digests_keep_their_last_bit(num_passes: int) -> None:
    top = 2**64 - 1
    assert copies([[top, top - 1], [top - 1, top - 2]], num_passes) == [[], [0]]
