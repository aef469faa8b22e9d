"""Exact search: at which rank, among all documents, the relevant documents of each query are.

Documents come in blocks, twice: first for how near the relevant ones are, then for how many are nearer. So the whole
ranking is known of them, and never in memory. Shapes: Q queries, N documents of vectors of D numbers, R judgments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
Blocks = Callable[[], Iterator[Vectors]]
"""Gives the documents' vectors, [n, D] at a time, from the first: the same ones, cut alike, each time."""

QUERIES_AT_A_TIME = 1024
"""Against a block of documents, as are judgments."""


def ranks(queries_qd: Vectors, blocks: Blocks, query_r: Ints, place_r: Ints) -> Ints:
    """[R], the rank (from 1) of document ``place_r`` for query ``query_r``, by the products of their vectors.

    Among documents that are equally near the one that comes first is first. Places count from 0; where one is negative
    the document is not there, and its rank is 0.
    """
    own = np.zeros(len(query_r), np.float32)
    ahead = np.zeros(len(query_r), np.int64)
    for begin, near_qn, rows in _products(queries_qd, blocks, query_r):
        inside = rows[(place_r[rows] >= begin) & (place_r[rows] < begin + near_qn.shape[1])]
        own[inside] = near_qn[query_r[inside] % QUERIES_AT_A_TIME, place_r[inside] - begin]
    for begin, near_qn, rows in _products(queries_qd, blocks, query_r):
        places = np.arange(begin, begin + near_qn.shape[1])
        for start in range(0, len(rows), QUERIES_AT_A_TIME):
            some = rows[start : start + QUERIES_AT_A_TIME]
            near, mine = near_qn[query_r[some] % QUERIES_AT_A_TIME], own[some, None]
            ahead[some] += ((near > mine) | ((near == mine) & (places < place_r[some, None]))).sum(1)
    return np.where(place_r >= 0, ahead + 1, 0)


def _products(queries_qd: Vectors, blocks: Blocks, query_r: Ints) -> Iterator[tuple[int, npt.NDArray[Any], Ints]]:
    """First document of a block, products of some queries with it, and which judgments are of these queries."""
    begin = 0
    group_r = query_r // QUERIES_AT_A_TIME
    for block in blocks():
        for group in range(-(-len(queries_qd) // QUERIES_AT_A_TIME)):
            start = group * QUERIES_AT_A_TIME
            some = queries_qd[start : start + QUERIES_AT_A_TIME]
            yield begin, some @ block.T, np.flatnonzero(group_r == group)
        begin += len(block)
