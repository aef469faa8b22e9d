"""How well classes are told: one of L for each example, or any number of them.

A metric is NaN where the examples do not define it: the area under a curve of a class that all or none of them have.
A mean over classes is of those that have one. AUPRC is average precision, no interpolation between its points.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torchmetrics.functional import classification as metrics

Ints = npt.NDArray[np.int64]
ClassScores = dict[str, npt.NDArray[np.float64]]
"""By name a metric of each class, [L]."""


def class_scores(logits_nl: npt.NDArray[Any], targets_n: Ints) -> dict[str, float]:
    """Metrics of classification: f1, auroc and auprc are means over classes, each against all others.

    f1 leaves out classes that are neither right nor told anywhere, as scikit-learn does.
    """
    logits, targets, num_classes = torch.tensor(logits_nl), torch.tensor(targets_n), logits_nl.shape[1]
    told = logits.argmax(-1)
    curves = curve_scores(_probabilities(logits), np.eye(num_classes)[targets_n])
    return {
        "accuracy": float((told == targets).double().mean()),
        "f1": float(metrics.multiclass_f1_score(told, targets, num_classes, average="macro")),
        "f1_weighted": float(metrics.multiclass_f1_score(told, targets, num_classes, average="weighted")),
        "matthews": matthews(confusion(told.numpy(), targets_n, num_classes)),
        **{name: _mean(values) for name, values in curves.items()},
    }


def each_class(logits_nl: npt.NDArray[Any], targets_n: Ints) -> ClassScores:
    """Of classification, by class: precision, recall, f1, auroc, auprc and support, its number of examples."""
    told = logits_nl.argmax(-1)
    ones = np.eye(logits_nl.shape[1])
    return {
        **decided(ones[told], ones[targets_n]),
        **curve_scores(_probabilities(torch.tensor(logits_nl)), ones[targets_n]),
    }


def multi_label_scores(logits_nl: npt.NDArray[Any], targets_nl: npt.NDArray[Any]) -> dict[str, float]:
    """Metrics of multi_label. A class is told where it is likelier than not; exact_match: all of an example right.

    f1 is over all decisions, f1_macro, auroc and auprc means over classes.
    """
    logits, targets = torch.tensor(logits_nl), torch.tensor(targets_nl).long()
    told, num_classes = (logits > 0).long(), logits_nl.shape[1]
    curves = curve_scores(logits.double().sigmoid(), targets_nl)
    return {
        "f1": float(metrics.multilabel_f1_score(told, targets, num_classes, average="micro")),
        "f1_macro": float(metrics.multilabel_f1_score(told, targets, num_classes, average="macro")),
        **{name: _mean(values) for name, values in curves.items()},
        "exact_match": float(metrics.multilabel_exact_match(told, targets, num_classes)),
    }


def each_label(logits_nl: npt.NDArray[Any], targets_nl: npt.NDArray[Any]) -> ClassScores:
    """Of multi_label, by class: as ``each_class``."""
    curves = curve_scores(torch.tensor(logits_nl).double().sigmoid(), targets_nl)
    return {**decided(logits_nl > 0, targets_nl), **curves}


def decided(told_nl: npt.NDArray[Any], right_nl: npt.NDArray[Any]) -> ClassScores:
    """Precision, recall, f1 and support of each class, from what was told and what is right (0 or 1).

    NaN: precision of what is never told, recall of what is never right, f1 of what is neither.
    """
    told, right = np.asarray(told_nl, np.float64), np.asarray(right_nl, np.float64)
    both, ours, theirs = (told * right).sum(0), told.sum(0), right.sum(0)
    return {
        "precision": _share(both, ours),
        "recall": _share(both, theirs),
        "f1": _share(2 * both, ours + theirs),
        "support": theirs,
    }


def curve_scores(probabilities_nl: torch.Tensor, right_nl: npt.NDArray[Any]) -> ClassScores:
    """auroc and auprc of each class against all others; NaN where all examples, or none, are of it.

    Probabilities are float64: those of float32 that are near 1 would be equal, and so in no order.
    """
    found = {name: np.full(right_nl.shape[1], math.nan) for name in ("auroc", "auprc")}
    right = torch.tensor(right_nl).long()
    support = right.sum(0)
    for label in ((support > 0) & (support < len(right))).nonzero()[:, 0].tolist():
        told, truth = probabilities_nl[:, label].contiguous(), right[:, label].contiguous()
        found["auroc"][label] = metrics.binary_auroc(told, truth)
        found["auprc"][label] = metrics.binary_average_precision(told, truth)
    return found


def confusion(told_n: npt.NDArray[Any], targets_n: npt.NDArray[Any], num_classes: int) -> Ints:
    """Counts [L, L]: examples of class i that were told to be of class j at [i, j]."""
    places = np.asarray(targets_n, np.int64) * num_classes + told_n
    return np.bincount(places, minlength=num_classes**2).reshape(num_classes, num_classes)


def matthews(confusion_ll: Ints) -> float:
    """Matthews' correlation of L classes (Gorodkin 2004); 0 where one class is told of all, NaN where one is right.

    By hand: torchmetrics makes up a value where one of two classes is told of all examples.
    """
    counts = confusion_ll.astype(np.float64)
    right, told, total = counts.sum(1), counts.sum(0), counts.sum()
    spread = (total**2 - (right**2).sum(), total**2 - (told**2).sum())
    if not spread[0]:
        return math.nan
    return float((np.trace(counts) * total - right @ told) / math.sqrt(spread[0] * spread[1])) if spread[1] else 0.0


def _probabilities(logits_nl: torch.Tensor) -> torch.Tensor:
    return logits_nl.double().softmax(-1)


def _share(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(len(whole), math.nan), where=whole > 0)


def _mean(values: npt.NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan
