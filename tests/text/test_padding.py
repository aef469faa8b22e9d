from __future__ import annotations

import numpy as np
import pytest

from pipelines.text.padding import padding_at_random, padding_of_slices, padding_sorted


def spread(lengths: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(list(lengths), np.int64), np.array(list(lengths.values()), np.int64)


def test_two_at_random_by_hand() -> None:
    """Of lengths 2 and 4, half each, a pair has 2 at most in a quarter of cases: 3.5 a row for 3 tokens."""
    assert padding_at_random(*spread({2: 5, 4: 5}), batch=2) == pytest.approx(1 - 3 / 3.5)
    assert padding_at_random(*spread({7: 9}), batch=2) == 0.0
    assert padding_at_random(*spread({2: 5, 4: 5}), batch=1) == pytest.approx(0.0)
    assert padding_at_random(*spread({}), batch=2) == 0.0


def test_sorted_by_hand() -> None:
    """Four of 1, 2, 3 and 4 in batches of two: 1 and 2 take 2 each, 3 and 4 take 4: 10 of 12."""
    assert padding_sorted(*spread({1: 9, 2: 9, 3: 9, 4: 9}), batch=2, pool=4) == pytest.approx(1 - 10 / 12)
    assert padding_sorted(*spread({1: 1, 2: 1, 3: 1, 4: 1}), batch=4, pool=4) == pytest.approx(1 - 10 / 16)
    assert padding_sorted(*spread({5: 3}), batch=2, pool=3) == 0.0
    assert padding_sorted(*spread({}), batch=2, pool=4) == 0.0


def test_slices_by_hand() -> None:
    """Four chunks spread as 40 and 100 are two of each: 80 and 200 tokens. One of 30 beside them would be padded."""
    assert padding_of_slices(np.array([100, 40]), 4, token_budget=200) == 0.0
    # 30 and 40 together take 80 tokens, ten of them padding; apart they take another pass, which costs 24
    assert padding_of_slices(np.array([100, 30, 40]), 3, token_budget=200) == pytest.approx(10 / 180)
    assert padding_of_slices(np.zeros(0, np.int64), 4, token_budget=200) == 0.0


def test_both_are_about_what_real_batches_have() -> None:
    rng = np.random.Generator(np.random.Philox(3))
    drawn = rng.integers(3, 129, (400, 256))
    lengths, counts = np.unique(drawn, return_counts=True)
    batches = drawn.reshape(-1, 32)
    real = 1 - drawn.sum() / (32 * batches.max(axis=1)).sum()
    assert padding_at_random(lengths, counts, 32) == pytest.approx(real, abs=0.005)
    ordered = np.sort(drawn, axis=1).reshape(-1, 32)
    real = 1 - drawn.sum() / (32 * ordered.max(axis=1)).sum()
    assert padding_sorted(lengths, counts, 32, 256) == pytest.approx(real, abs=0.005)
