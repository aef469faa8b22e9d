from __future__ import annotations

import math

import pytest

from pipelines.errors import SpecError
from pipelines.train.scores.names import NAMES, chosen_metric, merit, metric_names


def test_the_first_metric_is_the_default() -> None:
    assert chosen_metric("auto", "classification") == "accuracy"
    assert chosen_metric("auto", "embedding") == "mrr@10"
    assert chosen_metric("auto", "embedding", scored=True) == "spearman"
    assert chosen_metric("rmse", "regression") == "rmse"
    assert metric_names("regression", scored=True) == NAMES["regression"]


def test_a_metric_that_a_task_does_not_have_is_refused() -> None:
    with pytest.raises(SpecError, match="metric is 'bleu', and question_answering has f1, exact_match"):
        chosen_metric("bleu", "question_answering")


def test_more_merit_is_better() -> None:
    assert merit("accuracy", {"accuracy": 0.9}) == 0.9
    assert merit("rmse", {"rmse": 0.2}) > merit("rmse", {"rmse": 0.3})
    assert merit("auroc", {}) == merit("auroc", {"auroc": math.nan}) == -math.inf
