"""How often each token of a vocabulary occurs, and what that alone tells of the next one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SMOOTHING = 0.1
"""Added to each count: a token that was never seen is unlikely, not impossible."""


def log_frequencies(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Natural logarithm of each token's share float32[V], of counts int64[V]."""
    smoothed = counts + SMOOTHING
    return np.log(smoothed / smoothed.sum()).astype(np.float32)


def unigram_entropy(counts: npt.NDArray[np.int64]) -> float:
    """Nats a token costs at least to one who knows the tokens' shares and nothing else; 0 where nothing was counted.

    A masked language model that has learnt frequencies alone has this loss: it stays there until it learns context.
    """
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(-(shares * np.log(shares)).sum())
