"""Randomness without a state: a draw is a function of a seed and of what it is drawn for.

So any worker, order or restart draws the same. The mixing function is SplitMix64's (Steele, Lea and Flood 2014, "Fast
splittable pseudorandom number generators", figure 15), which is applied once for each key.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Keys = int | npt.NDArray[Any]
Bits = npt.NDArray[np.uint64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def bits(seed: int, *keys: Keys) -> Bits:
    """64 bits for each combination of keys: whole numbers, or arrays of them that broadcast.

    The order of the keys counts. Negative numbers are taken modulo 2**64.
    """
    state = _mixed(_unsigned(seed))
    for key in keys:
        state = _mixed(state ^ _mixed(_unsigned(key)))
    return state


def uniform(seed: int, *keys: Keys) -> npt.NDArray[np.float64]:
    """Numbers from 0 to below 1, each a multiple of 2**-53."""
    return (bits(seed, *keys) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def below(limit: Keys, seed: int, *keys: Keys) -> npt.NDArray[np.int64]:
    """Whole numbers from 0 to below the limit, which is at least 1 and below 2**31 (the bias is below 2**-22)."""
    return np.minimum((uniform(seed, *keys) * limit).astype(np.int64), np.asarray(limit) - 1)


def order(count: int, seed: int, *keys: int) -> npt.NDArray[np.int64]:
    """A permutation of 0 to below ``count``."""
    return np.argsort(bits(seed, *keys, np.arange(count)), kind="stable")


def shuffled(draws: Bits, groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A permutation that keeps the members of a group together, groups rising, each group's by their draws."""
    order = np.argsort(draws)  # equal draws, of 2**64, in any order; numpy's stable sort takes eight times as long
    narrow = groups[order].astype(np.min_scalar_type(int(groups.max(initial=0))))  # of 16 bits it sorts by radix
    return order[np.argsort(narrow, kind="stable")]


def _unsigned(key: Keys) -> Bits:
    if isinstance(key, int):
        return np.asarray(key & 0xFFFFFFFFFFFFFFFF, np.uint64)
    return np.asarray(key).astype(np.uint64)


def _mixed(state: Bits) -> Bits:
    with np.errstate(over="ignore"):  # arithmetic is modulo 2**64
        state = state + GOLDEN
        state = (state ^ (state >> np.uint64(30))) * FIRST
        state = (state ^ (state >> np.uint64(27))) * SECOND
        return np.asarray(state ^ (state >> np.uint64(31)))
