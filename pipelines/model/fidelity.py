"""How well vectors that were made coarser still rank each other, against those they were made of. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.model.quantize import Floats

NEIGHBOURS = 10
MOST_QUERIES = 1000
"""More say little more, and the work grows with their number times the sample's."""


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Means over queries, each of which looks for its neighbours among all other vectors of a sample."""

    recall_at_10: float | None
    """Share of the ten nearest that are still among the ten nearest; None: too few vectors to miss one."""
    rank_correlation: float | None
    """Spearman's correlation of all similarities; None: too few vectors to tell."""


def fidelity(exact: Floats, queries: Floats, found: Floats) -> Fidelity:
    """Cosines of each query with each vector found, held against the cosines of the exact vectors of the same rows.

    All are float32[n, any]: row i is the same text in each. Equal cosines rank by row.
    """
    num = len(exact)
    asked = min(num, MOST_QUERIES) if num > 2 else 0
    exact, queries, found = unit(exact), unit(queries), unit(found)
    recalls, correlations = [], []
    for row in np.linspace(0, num - 1, asked).round().astype(np.int64):
        others = np.arange(num) != row
        truth, guess = (exact @ exact[row])[others], (found @ queries[row])[others]
        recalls.append(recall(truth, guess))
        correlations.append(rank_correlation(truth, guess))
    return Fidelity(
        recall_at_10=float(np.mean(recalls)) if num > NEIGHBOURS + 1 else None,
        rank_correlation=float(np.mean(correlations)) if correlations else None,
    )


def unit(vectors: Floats) -> Floats:
    """The vectors at length 1; those of no length stay as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.float32(1e-12))


def recall(truth: Floats, guess: Floats, num_neighbours: int = NEIGHBOURS) -> float:
    """Share of the places of the greatest numbers of one array that are also those of the other."""
    best, found = (set(np.argsort(-one, kind="stable")[:num_neighbours].tolist()) for one in (truth, guess))
    return len(best & found) / len(best)


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's: Pearson's correlation of the ranks, equal numbers sharing their mean rank; 0 where all are equal."""
    first, second = (ranks - ranks.mean() for ranks in (_ranks(one), _ranks(other)))
    spread = float(np.sqrt(first @ first) * np.sqrt(second @ second))
    return float(first @ second) / spread if spread else 0.0


def _ranks(numbers: Floats) -> npt.NDArray[np.float64]:
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]
