"""Which documents are copies of an earlier one, told by digests of their texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

Digests = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]
NONE = np.zeros(0, np.int64)


def find_copies(read: Callable[[], Iterable[Digests]], num_passes: int = 1) -> list[Rows]:
    """Of each shard the rows, in order, whose digest occurs in an earlier row of it or in a shard before it.

    ``read`` gives the digests of one shard after another, a row each, and is called once a pass. A pass looks at those
    of one remainder alone, so that it holds 1 / ``num_passes`` of them at once, 24 bytes each.

    Two texts have the same digest by chance once in 2**64 pairs: in 1 of 37 corpora of a billion documents.
    """
    found: list[list[Rows]] = []
    for number in range(num_passes):
        pieces = [_within(digests, number, num_passes) for digests in read()]
        copies = _later_ones([digests for _, digests in pieces])
        found.append([rows[later] for (rows, _), later in zip(pieces, copies, strict=True)])
    return [np.sort(np.concatenate([NONE, *parts])) for parts in zip(*found, strict=True)]


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
