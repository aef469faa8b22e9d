"""The metrics of a task, from what was told of all its examples: ``task_scores``, and what is behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.train.scores.answers import Answered, answered
from pipelines.train.scores.classes import class_scores, confusion, each_class, each_label, multi_label_scores
from pipelines.train.scores.entities import Tags, entity_counts, entity_scores
from pipelines.train.scores.retrieval import match_scores
from pipelines.train.scores.told import Told
from pipelines.train.scores.values import correlations, value_scores

MOST_NAMED = 5
"""Classes that a note names; the rest are counted."""


@dataclass(frozen=True, kw_only=True)
class Details:
    """What is behind the metrics of a task."""

    by_class: dict[str, dict[str, float]] = field(default_factory=dict)
    """By class, or type of entity, its metrics and its support; those that are not defined are left out."""
    confusion: npt.NDArray[np.int64] | None = None
    """Counts [L, L], what is right by rows and what was told by columns (classification)."""
    notes: tuple[str, ...] = ()
    """What else one should know, a line each."""


def task_scores(task: str, told: Told, labels: Sequence[str]) -> dict[str, float]:
    """The metrics of a task, in the order of ``names.metric_names``. What is not defined is left out.

    ``labels`` are the names of the classes, in order; of tasks without classes they are not looked at.
    """
    return {name: value for name, value in _scores(task, told, labels).items() if not math.isnan(value)}


def is_scored(told: Told) -> bool:
    """Whether examples of embedding are pairs with a score."""
    return told.predictions.ndim == 1


def task_details(task: str, told: Told, labels: Sequence[str]) -> Details:
    """What is behind ``task_scores``: metrics by class, the confusion, and why a metric is missing."""
    missing = [name for name, value in _scores(task, told, labels).items() if math.isnan(value)]
    notes = [f"{' and '.join(missing)} not defined: {_why(task)}"] if missing else []
    match task:
        case "classification":
            values = each_class(told.predictions, told.targets)
            counts = confusion(told.predictions.argmax(-1), told.targets, len(labels))
            return _with_classes(values, labels, notes, counts)
        case "multi_label":
            return _with_classes(each_label(told.predictions, told.targets), labels, notes)
        case "token_classification":
            return Details(by_class=_by_type(told, labels), notes=tuple(notes))
        case "question_answering":
            return Details(by_class=_by_answer(_answered(told)), notes=tuple(notes))
        case _:
            return Details(notes=tuple(notes))


def _scores(task: str, told: Told, labels: Sequence[str]) -> Mapping[str, float]:
    match task:
        case "classification":
            return class_scores(told.predictions, told.targets)
        case "multi_label":
            return multi_label_scores(told.predictions, told.targets)
        case "regression":
            return value_scores(told.predictions, told.targets)
        case "token_classification":
            assert told.counts is not None
            return entity_scores(told.predictions, told.targets, told.counts, labels)
        case "question_answering":
            found = _answered(told)
            return {"f1": float(np.mean(found.f1)), "exact_match": float(np.mean(found.exact))}
        case "embedding":
            if is_scored(told):
                return correlations(told.predictions, told.targets)
            return match_scores(told.predictions)
    raise ValueError(f"{task} is no task")


def _why(task: str) -> str:
    if task in ("regression", "embedding"):
        return "all values that are right, or all that are told, are the same"
    if task == "token_classification":
        return "there is no entity"
    return "the examples are all of one class"


def _with_classes(
    values: Mapping[str, npt.NDArray[np.float64]],
    labels: Sequence[str],
    notes: Sequence[str],
    counts: npt.NDArray[np.int64] | None = None,
) -> Details:
    rows = zip(*(column.tolist() for column in values.values()), strict=True)
    by_class = {label: _known(zip(values, row, strict=True)) for label, row in zip(labels, rows, strict=True)}
    absent = [label for label in labels if not by_class[label]["support"]]
    more = [f"no example has {_named(absent)}: left out of the means of auroc and auprc"] if absent else []
    return Details(by_class=by_class, confusion=counts, notes=(*notes, *more))


def _known(pairs: Any) -> dict[str, float]:
    return {name: value for name, value in pairs if not math.isnan(value)}


def _named(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
    return ("class " if len(labels) == 1 else "classes ") + ", ".join(labels[:MOST_NAMED]) + more


def _by_type(told: Told, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    assert told.counts is not None
    tags = Tags.of(labels)
    counts = entity_counts(told.predictions, told.targets, told.counts, tags)
    found = {}
    for number, name in enumerate(tags.types):
        both, ours, theirs = (int(column[number]) for column in (counts.both, counts.told, counts.right))
        shares = {"precision": (both, ours), "recall": (both, theirs), "f1": (2 * both, ours + theirs)}
        found[name] = {metric: part / whole for metric, (part, whole) in shares.items() if whole}
        found[name]["support"] = float(theirs)
    return found


def _answered(told: Told) -> Answered:
    return answered(told.predictions, told.answers, told.targets, told.questions)


def _by_answer(found: Answered) -> dict[str, dict[str, float]]:
    """Metrics of the questions that have an answer, and of those that have none, where there are both."""
    has_answer = np.array(found.has_answer)
    if has_answer.all() or not has_answer.any():
        return {}
    parts = {"with an answer": has_answer, "without an answer": ~has_answer}
    return {
        name: {
            "f1": float(np.array(found.f1)[mask].mean()),
            "exact_match": float(np.array(found.exact)[mask].mean()),
            "support": float(mask.sum()),
        }
        for name, mask in parts.items()
    }
