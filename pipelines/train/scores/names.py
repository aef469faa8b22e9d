"""The metrics of each task by name, and which of two values of one is better."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pipelines.errors import SpecError

NAMES: dict[str, tuple[str, ...]] = {
    "classification": ("accuracy", "f1", "f1_weighted", "matthews", "auroc", "auprc"),
    "multi_label": ("f1", "f1_macro", "auroc", "auprc", "exact_match"),
    "regression": ("spearman", "pearson", "rmse", "mae"),
    "token_classification": ("f1", "precision", "recall", "token_accuracy"),
    "question_answering": ("f1", "exact_match"),
    "embedding": ("mrr@10", "ndcg@10", "recall@1", "recall@10"),
}
"""A task's metrics, the one first by which the best checkpoint is chosen if nobody says otherwise.

f1 is the mean over the classes (classification), over all decisions (multi_label), over entities, or over questions.
"""
SIMILARITY = ("spearman", "pearson")
"""Metrics of embedding where pairs have scores."""
ERRORS = frozenset(("rmse", "mae"))
"""Metrics of which less is better; the others are at most 1, and more is better."""


def metric_names(task: str, *, scored: bool = False) -> tuple[str, ...]:
    """Metrics of a task, the default first. ``scored``: its pairs have scores (embedding)."""
    return SIMILARITY if scored and task == "embedding" else NAMES[task]


def chosen_metric(metric: str, task: str, *, scored: bool = False) -> str:
    """The metric that a spec means, "auto" the task's first. SpecError where the task does not have it."""
    names = metric_names(task, scored=scored)
    if metric != "auto" and metric not in names:
        raise SpecError(f"metric is {metric!r}, and {task} has {', '.join(names)}: write one of them, or auto")
    return names[0] if metric == "auto" else metric


def merit(metric: str, scores: Mapping[str, float]) -> float:
    """A metric as a number of which more is better; minus infinity where it is not defined."""
    value = scores.get(metric, math.nan)
    if math.isnan(value):
        return -math.inf
    return -value if metric in ERRORS else value
