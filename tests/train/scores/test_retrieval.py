from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional import retrieval as oracle

from pipelines.train.scores.retrieval import (
    Judged,
    average_precision,
    match_scores,
    ndcg_at,
    rank_scores,
    ranks_of_own,
    recall_at,
    reciprocal_rank_at,
)

JUDGED = Judged(query=np.array([0, 0, 0, 1]), rank=np.array([4, 1, 0, 3]), gain=np.array([1.0, 1.0, 1.0, 2.0]))
"""Two of the three documents of query 0 were found, first and fourth; the one of query 1 third."""


def test_metrics_by_hand() -> None:
    assert recall_at(JUDGED, 1) == pytest.approx([1 / 3, 0])
    assert recall_at(JUDGED, 4) == pytest.approx([2 / 3, 1])
    assert reciprocal_rank_at(JUDGED, 10) == pytest.approx([1, 1 / 3])
    assert reciprocal_rank_at(JUDGED, 2) == pytest.approx([1, 0])
    assert average_precision(JUDGED) == pytest.approx([(1 + 2 / 4 + 0) / 3, 1 / 3])
    best = 1 + 1 / np.log2(3) + 1 / 2
    assert ndcg_at(JUDGED, 10) == pytest.approx([(1 + 1 / np.log2(5)) / best, 1 / 2])


def test_gains_differ() -> None:
    judged = Judged(query=np.array([0, 0]), rank=np.array([1, 2]), gain=np.array([1.0, 3.0]))
    assert ndcg_at(judged, 2) == pytest.approx([(1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3))])
    assert ndcg_at(judged, 1) == pytest.approx([1 / 3])


@pytest.mark.parametrize("k", [1, 3, 10])
def test_they_are_those_of_torchmetrics(k: int) -> None:
    rng = np.random.default_rng(k)
    num_documents = 40
    queries = [rng.choice(num_documents, rng.integers(1, 6), replace=False) for _ in range(20)]
    ranks = [rng.permutation(num_documents) + 1 for _ in queries]  # of each document
    gains = [rng.integers(1, 4, len(right)).astype(float) for right in queries]
    judged = Judged(
        query=np.repeat(np.arange(20), [len(right) for right in queries]),
        rank=np.concatenate([rank[right] for rank, right in zip(ranks, queries, strict=True)]),
        gain=np.concatenate(gains),
    )
    for number, (right, rank, gain) in enumerate(zip(queries, ranks, gains, strict=True)):
        near = torch.tensor(1.0 / rank)
        target = torch.zeros(num_documents, dtype=torch.long)
        target[right] = torch.tensor(gain).long()
        relevant = target > 0
        assert recall_at(judged, k)[number] == pytest.approx(float(oracle.retrieval_recall(near, relevant, k)))
        assert ndcg_at(judged, k)[number] == pytest.approx(float(oracle.retrieval_normalized_dcg(near, target, k)))
        assert reciprocal_rank_at(judged, k)[number] == pytest.approx(
            float(oracle.retrieval_reciprocal_rank(near, relevant, k))
        )
        assert average_precision(judged)[number] == pytest.approx(
            float(oracle.retrieval_average_precision(near, relevant)), abs=1e-6
        )


def test_the_table_has_means_over_queries() -> None:
    scores = rank_scores(JUDGED, (1, 4))
    assert list(scores) == ["recall@1", "recall@4", "ndcg@1", "ndcg@4", "mrr@1", "mrr@4", "map"]
    assert scores["recall@4"] == pytest.approx((2 / 3 + 1) / 2)


def test_each_anchor_looks_for_its_own_positive() -> None:
    anchors = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    positives = np.array([[0.8, 0.6], [0.0, 1.0], [1.0, 0.0]])
    pairs = np.stack([anchors, positives], axis=1)
    assert ranks_of_own(pairs).tolist() == [2, 1, 3]
    assert ranks_of_own(pairs, rows=1).tolist() == [2, 1, 3]
    assert match_scores(pairs) == pytest.approx(
        {
            "mrr@10": (1 / 2 + 1 + 1 / 3) / 3, "ndcg@10": (1 / np.log2(3) + 1 + 1 / 2) / 3,
            "recall@1": 1 / 3, "recall@10": 1.0,
        }
    )  # fmt: skip


def test_a_positive_that_is_there_twice_is_found_by_both() -> None:
    same = np.array([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    assert ranks_of_own(same).tolist() == [1, 1, 3]


def test_vectors_that_are_all_near_each_other_are_no_success() -> None:
    angles = np.linspace(0, 1, 5)
    pairs = np.stack([np.tile([1.0, 0.0], (5, 1)), np.stack([np.ones(5), 0 * angles], 1)], axis=1)
    pairs[:, 1, 1] = angles  # the product with the anchor is 1 for all of them
    assert ranks_of_own(pairs).tolist() == [5] * 5
