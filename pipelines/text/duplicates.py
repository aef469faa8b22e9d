"""Which documents are copies of an earlier one, told by digests of their texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

Digests = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]
NONE = np.zeros(0, np.int64)


def find_copies(num_shards: int, digests_of: Callable[[int], Digests], num_passes: int = 1) -> list[Rows]:
    """Of each shard the rows, in order, whose digest occurs in an earlier row of it or in a shard before it.

    ``digests_of(i)`` gives shard i's digests, a row each, and is asked once a pass. A pass looks at the digests of one
    stretch of the 64-bit numbers alone, so that it holds 1 / ``num_passes`` of them at once, 24 bytes each.

    Two texts have the same digest by chance once in 2**64 pairs: in 1 of 37 corpora of a billion documents.
    """
    found: list[list[Rows]] = [[] for _ in range(num_shards)]
    for number in range(num_passes):
        pieces = [_within(digests_of(shard), number, num_passes) for shard in range(num_shards)]
        rows, digests = [rows for rows, _ in pieces], [digests for _, digests in pieces]
        for shard, copies in enumerate(_later_ones(digests)):
            found[shard].append(rows[shard][copies])
    return [np.sort(np.concatenate([NONE, *parts])) for parts in found]


def _within(digests: Digests, number: int, num_passes: int) -> tuple[Rows, Digests]:
    """Rows and digests that belong to a pass."""
    rows = np.flatnonzero(digests % np.uint64(num_passes) == np.uint64(number))
    return rows, digests[rows]


def _later_ones(digests: Sequence[Digests]) -> Iterable[npt.NDArray[np.bool_]]:
    """Per array whether a number has been there before, in it or in an earlier one."""
    whole = np.concatenate([np.zeros(0, np.uint64), *digests])
    _, first = np.unique(whole, return_index=True)
    is_copy = np.ones(len(whole), bool)
    is_copy[first] = False
    return np.split(is_copy, np.cumsum([len(one) for one in digests])[:-1]) if digests else []
