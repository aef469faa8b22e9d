from __future__ import annotations

import numpy as np

from pipelines.text.bins import bounds_of, in_bins


def test_bins_have_as_many_each() -> None:
    numbers = np.random.default_rng(0).permutation(100).astype(np.float32) ** 2
    bounds = bounds_of(numbers, 0.25)
    binned = in_bins(numbers, bounds)
    assert np.bincount(binned.values).tolist() == [10] * 10
    assert numbers[binned.values == 0].max() < numbers[binned.values == 1].min()
    assert binned.lengths.tolist() == [1] * 100


def test_equal_numbers_are_in_one_bin() -> None:
    stars = np.repeat(np.array([1, 2, 3, 4, 5], np.float32), 20)
    assert np.bincount(in_bins(stars, bounds_of(stars, 0.2)).values, minlength=6).tolist() == [0, 20, 20, 20, 20, 20]
    same = np.ones(50, np.float32)
    assert set(in_bins(same, bounds_of(same, 0.5)).values.tolist()) == {1}


def test_few_numbers_have_few_bins() -> None:
    numbers = np.arange(30, dtype=np.float32)
    assert bounds_of(numbers, 0.1).tolist() == [10, 20]  # three are held out
    assert len(bounds_of(numbers[:5], 0.1)) == 0
    assert in_bins(numbers[:2], np.zeros(0, np.float32)).values.tolist() == [0, 0]
