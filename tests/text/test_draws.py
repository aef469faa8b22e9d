from __future__ import annotations

import numpy as np

from pipelines.text.draws import below, bits, order, shuffled, uniform


def test_the_mixing_function_is_the_published_one() -> None:
    # The first outputs of SplitMix64 from state 0 are in every implementation's tests; state 0 is seed 0 without keys.
    assert int(bits(0)) == 0xE220A8397B1DCDAF
    assert int(bits(0x9E3779B97F4A7C15)) == 0x6E789E6AA1B965F4


def test_a_draw_depends_on_its_keys_and_nothing_else() -> None:
    numbers = np.arange(10)
    drawn = bits(7, 3, numbers)
    assert [int(bits(7, 3, int(number))) for number in numbers] == drawn.tolist()
    assert bits(7, 3, numbers[::-1]).tolist() == drawn[::-1].tolist()
    assert len({int(bits(7, 1, 2)), int(bits(7, 2, 1)), int(bits(8, 1, 2)), int(bits(7, 1)), int(bits(7))}) == 5


def test_keys_broadcast_and_may_be_negative() -> None:
    grid = bits(1, np.arange(3)[:, None], np.arange(4)[None])
    assert grid.shape == (3, 4)
    assert int(grid[2, 3]) == int(bits(1, 2, 3))
    assert int(bits(1, -1)) == int(bits(1, np.array(-1))) == int(bits(1, 2**64 - 1))


def test_uniform_numbers_are_spread_evenly() -> None:
    drawn = uniform(5, np.arange(100_000))
    assert 0 <= drawn.min() < drawn.max() < 1
    counts = np.histogram(drawn, bins=10, range=(0, 1))[0]
    assert abs(counts - 10_000).max() < 400  # four standard deviations
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.013


def test_below_reaches_every_number_and_none_above() -> None:
    counts = np.bincount(below(3, 9, np.arange(30_000)))
    assert len(counts) == 3
    assert abs(counts - 10_000).max() < 400
    assert below(np.array([1, 2, 5]), 9, np.arange(3)).tolist() == [0, int(below(2, 9, 1)), int(below(5, 9, 2))]
    assert below(1, 0, np.arange(100)).max() == 0


def test_order_is_a_permutation_of_its_own_for_each_key() -> None:
    assert sorted(order(50, 3, 1).tolist()) == list(range(50))
    assert order(50, 3, 1).tolist() != order(50, 3, 2).tolist()
    assert order(50, 3, 1).tolist() == order(50, 3, 1).tolist()
    assert order(0, 3).tolist() == []


def test_groups_are_shuffled_each_by_itself() -> None:
    groups = np.array([0, 0, 0, 2, 2, 5])
    draws = np.array([30, 10, 20, 5, 2**64 - 1, 7], np.uint64)
    assert shuffled(draws, groups).tolist() == [1, 2, 0, 3, 4, 5]
    many = np.repeat(np.arange(70_000), 2)  # more than 16 bits tell apart
    drawn = bits(1, np.arange(140_000))
    assert shuffled(drawn, many).tolist() == np.lexsort((drawn, many)).tolist()
    assert shuffled(np.array([], np.uint64), np.array([], np.int64)).tolist() == []
