"""The padding that batches of some lengths will have, told by how many there are of each length."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.text.pack import padding_fraction, plan_batches
from pipelines.text.ranges import ends_of

Ints = npt.NDArray[np.int64]


def padding_at_random(lengths: Ints, counts: Ints, batch: int) -> float:
    """Share of padding, expected, in batches of so many that are drawn at random. ``lengths`` rise; none: 0."""
    if not counts.sum():
        return 0.0
    below = np.cumsum(counts) / counts.sum()
    longest = np.diff(below**batch, prepend=0.0) @ lengths
    return float(1 - lengths @ counts / counts.sum() / longest)


def padding_sorted(lengths: Ints, counts: Ints, batch: int, pool: int) -> float:
    """The same where ``pool`` of them, drawn at random, are sorted by length and then cut into batches.

    The pool is taken to be spread as the whole is: its longest fifth, say, are as long as the longest fifth of all.
    """
    total = int(counts.sum())
    if not total:
        return 0.0
    ends = np.append(np.arange(batch, pool, batch), pool)
    places = np.minimum(np.ceil(ends / pool * total).astype(np.int64) - 1, total - 1)
    longest = lengths[np.searchsorted(ends_of(counts)[1:], places, side="right")]
    computed = longest @ np.diff(ends, prepend=0) / pool
    return float(1 - lengths @ counts / total / computed)


def padding_of_slices(lengths: Ints, num_chunks: int, token_budget: int) -> float:
    """The same where slices of so many chunks, spread as ``lengths`` are, are cut into batches of a token budget."""
    if not len(lengths) or num_chunks < 1:
        return 0.0
    middles = (2 * np.arange(num_chunks) + 1) * len(lengths) // (2 * num_chunks)
    slice_ = np.sort(lengths)[middles]
    return padding_fraction(slice_, plan_batches(slice_, token_budget, padded=True))
