from __future__ import annotations

import math

import numpy as np
import pytest

from pipelines.text.frequencies import log_frequencies, unigram_entropy


def test_the_entropy_of_even_shares_is_the_logarithm_of_their_number() -> None:
    assert unigram_entropy(np.array([5, 5, 0, 5, 5])) == pytest.approx(math.log(4))
    assert unigram_entropy(np.array([9, 0])) == 0
    assert unigram_entropy(np.zeros(3, np.int64)) == 0
    assert unigram_entropy(np.array([3, 1])) == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))


def test_log_frequencies_are_a_distribution_in_which_nothing_is_impossible() -> None:
    found = log_frequencies(np.array([8, 0, 2]))
    assert found.dtype == np.float32
    assert np.exp(found).sum() == pytest.approx(1)
    assert math.exp(found[1]) == pytest.approx(0.1 / 10.3)
    assert math.exp(found[0]) == pytest.approx(8.1 / 10.3)
