from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.text.pack import (
    PASS_OVERHEAD_TOKENS,
    gathered,
    pack_batch,
    pad_batch,
    padding_fraction,
    plan_batches,
    second_types,
)

VALUES = np.array([5, 6, 7, 8, 9, 10], np.int32)
OFFSETS = np.array([0, 2, 5, 6])  # chunks [5 6], [7 8 9], [10]


def test_pad_batch_by_hand() -> None:
    input_ids, attention_mask = pad_batch(VALUES, OFFSETS, np.array([1, 2]), pad_id=0)
    assert input_ids.tolist() == [[7, 8, 9], [10, 0, 0]]
    assert attention_mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_pack_batch_by_hand() -> None:
    batch = pack_batch(VALUES, OFFSETS, np.array([1, 0]))
    assert batch.input_ids.tolist() == [7, 8, 9, 5, 6]
    assert batch.position_ids.tolist() == [0, 1, 2, 0, 1]
    assert batch.cu_seqlens.tolist() == [0, 3, 5]
    assert batch.cu_seqlens.dtype == np.int32
    assert batch.max_seqlen == 3


def test_types_by_hand() -> None:
    starts = np.array([1, 3, 0])  # of [5 6], [7 8 9], [10]: the second chunk has no second text
    rows = np.array([0, 1, 2])
    assert second_types(OFFSETS, rows, starts, padded=True).tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert second_types(OFFSETS, rows[::-1], starts, padded=False).tolist() == [1, 0, 0, 0, 0, 1]


def test_ranges():
    assert gathered(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert gathered(np.array([], np.int64), np.array([], np.int64)).tolist() == []


def test_plan_by_hand() -> None:
    lengths = [3, 9, 3, 8]
    assert [rows.tolist() for rows in plan_batches(lengths, 17, padded=False)] == [[1, 3], [0, 2]]
    assert [rows.tolist() for rows in plan_batches(lengths, 18, padded=True)] == [[1, 3], [0, 2]]


def test_a_pass_is_saved_where_it_costs_more_than_padding() -> None:
    lengths = [6, 10, 6]  # 34 and 54 tokens in one pass, 30 and 70 in two
    for overhead, expected in ((4, [[1], [0, 2]]), (24, [[1, 0, 2]])):
        batches = plan_batches(lengths, 100, padded=True, pass_overhead=overhead)
        assert [rows.tolist() for rows in batches] == expected


def test_a_chunk_beyond_the_budget_goes_alone() -> None:
    for padded in (True, False):
        assert [rows.tolist() for rows in plan_batches([4, 100, 4], 10, padded=padded)] == [[1], [0, 2]]


def test_nothing_to_plan() -> None:
    assert plan_batches([], 10, padded=True) == plan_batches([], 10, padded=False) == []


def test_padding_fraction_by_hand() -> None:
    assert padding_fraction([4, 2, 3], [np.array([0, 1]), np.array([2])]) == pytest.approx(2 / 11)


@given(st.lists(st.integers(1, 60), max_size=60), st.integers(1, 200), st.booleans())
def test_each_chunk_is_in_one_batch_within_the_budget(lengths: list[int], budget: int, padded: bool) -> None:
    batches = plan_batches(lengths, budget, padded=padded)
    flat = np.concatenate([*batches, np.zeros(0, int)]).tolist()
    assert sorted(flat) == list(range(len(lengths)))
    assert flat == sorted(range(len(lengths)), key=lambda i: -lengths[i])
    for rows in batches:
        sizes = [lengths[row] for row in rows]
        assert len(rows) == 1 or (len(rows) * max(sizes) if padded else sum(sizes)) <= budget


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=9), st.integers(10, 90))
def test_no_other_cuts_cost_less_than_the_padded_ones(lengths: list[int], budget: int) -> None:
    sizes = sorted(lengths, reverse=True)

    def cost(cuts: tuple[int, ...]) -> float:
        edges = [0, *cuts, len(sizes)]
        total = 0.0
        for start, stop in pairwise(edges):
            computed = (stop - start) * sizes[start]
            if stop - start > 1 and computed > budget:
                return float("inf")
            total += computed + PASS_OVERHEAD_TOKENS
        return total

    places = range(1, len(sizes))
    best = min(cost(cuts) for k in range(len(sizes)) for cuts in combinations(places, k))
    batches = plan_batches(lengths, budget, padded=True)
    ours = sum(len(rows) * max(lengths[row] for row in rows) + PASS_OVERHEAD_TOKENS for rows in batches)
    assert ours == best


def test_padding_of_256_documents_of_any_length_stays_under_5_percent() -> None:
    rng = np.random.default_rng(0)
    for lengths in (rng.integers(3, 257, 256), rng.geometric(1 / 60, 256).clip(3, 256), rng.integers(3, 513, 256)):
        for budget in (2048, 4096):
            assert padding_fraction(lengths, plan_batches(lengths, budget, padded=True)) <= 0.05
