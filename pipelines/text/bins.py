"""Numbers in bins of about as many each, so that a share can be taken of small and large ones alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.text.ragged import Ragged

Floats = npt.NDArray[np.float32]

MOST_BINS = 10


def bounds_of(numbers: Floats, share: float) -> Floats:
    """What parts n numbers into ten bins, or fewer where a bin's share would be less than one number; rising.

    Equal numbers are in one bin, so that of few different ones each may be a bin.
    """
    num_bins = min(MOST_BINS, int(len(numbers) * share))
    if num_bins < 2:
        return np.zeros(0, np.float32)
    return np.unique(np.quantile(numbers, np.arange(1, num_bins) / num_bins, method="higher"))


def in_bins(numbers: Floats, bounds: Floats) -> Ragged:
    """The bin of each of n numbers, as n lists of one; a number on a bound is in the bin above."""
    return Ragged(np.searchsorted(bounds, numbers, side="right").astype(np.int32), np.arange(len(numbers) + 1))
