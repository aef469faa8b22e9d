from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pipelines.train.scores.values import correlations, pearson, ranks, value_scores


def test_errors_by_hand() -> None:
    scores = value_scores([1.0, 2.0, 4.0], [1.0, 4.0, 1.0])
    assert list(scores) == ["spearman", "pearson", "rmse", "mae"]
    assert scores["rmse"] == pytest.approx(((0 + 4 + 9) / 3) ** 0.5)
    assert scores["mae"] == pytest.approx(5 / 3)


def test_equals_share_their_ranks() -> None:
    assert ranks([3.0, 1.0, 3.0, 2.0]).tolist() == [3.5, 1, 3.5, 2]


def test_correlations_are_scipys_also_where_numbers_are_equal() -> None:
    rng = np.random.default_rng(0)
    told, right = rng.normal(size=500).astype(np.float32), rng.integers(0, 6, 500).astype(np.float32)
    told += right
    found = correlations(told, right)
    assert found["spearman"] == pytest.approx(stats.spearmanr(told, right).statistic, abs=1e-9)
    assert found["pearson"] == pytest.approx(stats.pearsonr(told.astype(float), right).statistic, abs=1e-9)
    assert pearson(right, 1e6 + 1e-3 * right.astype(float)) == pytest.approx(1, abs=1e-6)  # spread far below the mean


def test_many_equals_are_ranked_too() -> None:
    right = np.repeat([0.0, 1.0], 100_000)
    assert correlations(right, right)["spearman"] == pytest.approx(1)


@pytest.mark.parametrize(("told", "right"), [([1.0, 1.0], [1.0, 2.0]), ([1.0, 2.0], [3.0, 3.0]), ([1.0], [1.0])])
def test_what_is_all_the_same_is_not_correlated(told: list[float], right: list[float]) -> None:
    assert np.isnan(list(correlations(told, right).values())).all()
