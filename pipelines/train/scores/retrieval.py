"""How well documents are found for queries: recall, nDCG, reciprocal rank and average precision, by ranks.

Shapes: Q queries. A query's relevant documents are given by their ranks (1 is the first) among all documents; those
that were not found are ranked nowhere (0). So nothing here is larger than the judgments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """R relevant documents of Q queries, end to end: the rank of each (0: not found) and how relevant it is."""

    query: Ints  # [R], number of the query, from 0 to Q - 1; each query has one at least
    rank: Ints  # [R]
    gain: Doubles  # [R], above 0


def recall_at(judged: Judged, k: int) -> Doubles:
    """[Q], share of a query's relevant documents that are among the first k."""
    return _sums(judged, _within(judged, k)) / _sums(judged, np.ones(len(judged.rank)))


def ndcg_at(judged: Judged, k: int) -> Doubles:
    """[Q], gains over the logarithm of the rank plus one, as a share of those of the best order (Järvelin and
    Kekäläinen 2002; gains as they are, as trec_eval has it)."""
    found = _within(judged, k)
    gains = np.divide(judged.gain, np.log2(judged.rank + 1.0), out=np.zeros(len(found)), where=found)
    order = np.lexsort((-judged.gain, judged.query))
    best = np.empty(len(order), np.int64)
    best[order] = _places(judged.query[order])
    ideal = np.where(best <= k, judged.gain / np.log2(best + 1.0), 0.0)
    return _sums(judged, gains) / _sums(judged, ideal)


def reciprocal_rank_at(judged: Judged, k: int) -> Doubles:
    """[Q], one over the rank of the first relevant document, 0 where it is none of the first k."""
    found = _within(judged, k)
    reciprocal = np.divide(1.0, judged.rank, out=np.zeros(len(found)), where=found)
    best = np.zeros(int(judged.query.max(initial=-1)) + 1)
    np.maximum.at(best, judged.query, reciprocal)
    return best


def average_precision(judged: Judged) -> Doubles:
    """[Q], mean over a query's relevant documents of the precision at their ranks, 0 for those not found."""
    order = np.lexsort((np.where(judged.rank, judged.rank, np.iinfo(np.int64).max), judged.query))
    found = np.empty(len(order), np.int64)
    found[order] = _places(judged.query[order])
    precision = np.divide(found, judged.rank, out=np.zeros(len(found)), where=judged.rank > 0)
    return _sums(judged, precision) / _sums(judged, np.ones(len(found)))


def rank_scores(judged: Judged, ks: Sequence[int]) -> dict[str, float]:
    """Means over the queries: recall, nDCG and MRR at each k, and MAP."""
    by_name = {f"recall@{k}": recall_at(judged, k) for k in ks}
    by_name |= {f"ndcg@{k}": ndcg_at(judged, k) for k in ks}
    by_name |= {f"mrr@{k}": reciprocal_rank_at(judged, k) for k in ks}
    by_name["map"] = average_precision(judged)
    return {name: float(values.mean()) for name, values in by_name.items()}


def ranks_of_own(pairs_n2d: npt.NDArray[Any], rows: int = 1024) -> Ints:
    """[n], rank of each anchor's own positive among the positives of all n pairs, by the product of their vectors.

    Positives that are as near as the own one count before it, but those that are equal to it: they are the same text.
    """
    anchors, positives = pairs_n2d[:, 0], pairs_n2d[:, 1]
    found = []
    for start in range(0, len(anchors), rows):
        near = anchors[start : start + rows] @ positives.T
        places = np.arange(start, start + len(near))
        own = near[np.arange(len(near)), places]
        ahead = near >= own[:, None]
        for row, place in zip(*(axis.tolist() for axis in np.nonzero(ahead & (near == own[:, None]))), strict=True):
            ahead[row, place] = not np.array_equal(positives[place], positives[start + row])
        found.append(ahead.sum(1) + 1)
    return np.concatenate([np.empty(0, np.int64), *found])


def match_scores(pairs_n2d: npt.NDArray[Any]) -> dict[str, float]:
    """Metrics of embedding without scores: each anchor is to find its own positive among all of them."""
    rank = ranks_of_own(pairs_n2d)
    judged = Judged(query=np.arange(len(rank)), rank=rank, gain=np.ones(len(rank)))
    found = rank_scores(judged, (1, 10))
    return {name: found[name] for name in ("mrr@10", "ndcg@10", "recall@1", "recall@10")}


def _within(judged: Judged, k: int) -> npt.NDArray[np.bool_]:
    return (judged.rank > 0) & (judged.rank <= k)


def _sums(judged: Judged, values: npt.NDArray[Any]) -> Doubles:
    return np.bincount(judged.query, weights=values).astype(np.float64)


def _places(query: Ints) -> Ints:
    """Numbers from 1 within each stretch of equals."""
    starts = np.flatnonzero(np.append(True, query[1:] != query[:-1])) if len(query) else np.empty(0, np.int64)
    counts = np.diff(np.append(starts, len(query)))
    return np.arange(len(query)) - np.repeat(starts, counts) + 1
