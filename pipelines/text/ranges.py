"""Ranges of places in a flat array, and what they hold one after another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.text.pack import gathered

Ranges = npt.NDArray[np.int64]
"""[n, 2]: first place and the one after the last."""


def places(ranges: Ranges) -> npt.NDArray[np.int64]:
    """The places of the ranges, one range after another: [[5, 7], [0, 0], [2, 3]] are 5, 6, 2."""
    return gathered(ranges[:, 0], ranges[:, 1] - ranges[:, 0])


def counted(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0 to below each of these counts, one after another: [2, 0, 3] are 0, 1, 0, 1, 2."""
    return gathered(np.zeros_like(counts), counts)


def ends_of(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each of these lengths begins, laid end to end, and where the last one ends: [n + 1]."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
