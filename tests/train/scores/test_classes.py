from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as oracle

from pipelines.train.scores.classes import (
    class_scores,
    confusion,
    curve_scores,
    decided,
    each_class,
    each_label,
    matthews,
    multi_label_scores,
)

TOLD = [0, 0, 1, 2, 2, 2]
RIGHT = np.array([0, 1, 1, 2, 2, 0])
LOGITS = np.eye(3, dtype=np.float32)[TOLD]
"""Class 0: one of two told right, and one told wrongly. Class 1: one of two. Class 2: both, and one too many."""


def test_metrics_of_classes_by_hand() -> None:
    scores = class_scores(LOGITS, RIGHT)
    assert list(scores) == ["accuracy", "f1", "f1_weighted", "matthews", "auroc", "auprc"]
    assert scores["accuracy"] == pytest.approx(4 / 6)
    by_class = [2 * 1 / (2 + 2), 2 * 1 / (1 + 2), 2 * 2 / (3 + 2)]
    assert scores["f1"] == pytest.approx(sum(by_class) / 3)
    assert scores["f1_weighted"] == pytest.approx(sum(by_class) / 3)  # two examples of each class
    assert scores["auroc"] == pytest.approx((5 / 8 + 6 / 8 + 7 / 8) / 3)
    assert confusion(np.array(TOLD), RIGHT, 3).tolist() == [[1, 0, 1], [1, 1, 0], [0, 0, 2]]


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_they_are_scikit_learns(num_classes: int) -> None:
    rng = np.random.default_rng(num_classes)
    right = rng.permutation(np.arange(200) % num_classes)
    logits = (rng.normal(size=(200, num_classes)) + np.eye(num_classes)[right]).astype(np.float32)
    told, ones = logits.argmax(-1), np.eye(num_classes)[right]
    powers = np.exp(logits.astype(np.float64))
    chances = powers / powers.sum(1, keepdims=True)
    assert class_scores(logits, right) == pytest.approx(
        {
            "accuracy": oracle.accuracy_score(right, told),
            "f1": oracle.f1_score(right, told, average="macro"),
            "f1_weighted": oracle.f1_score(right, told, average="weighted"),
            "matthews": oracle.matthews_corrcoef(right, told),
            "auroc": np.mean([oracle.roc_auc_score(ones[:, c], chances[:, c]) for c in range(num_classes)]),
            "auprc": np.mean([oracle.average_precision_score(ones[:, c], chances[:, c]) for c in range(num_classes)]),
        },
        abs=1e-6,
    )
    precision, recall, f1, support = oracle.precision_recall_fscore_support(right, told)
    found = each_class(logits, right)
    for name, values in {"precision": precision, "recall": recall, "f1": f1, "support": support}.items():
        assert found[name] == pytest.approx(values)


def test_a_class_that_no_example_has_counts_in_no_mean() -> None:
    wider = np.concatenate([LOGITS, np.full((6, 1), -1, np.float32)], axis=1)
    assert class_scores(wider, RIGHT) == pytest.approx(class_scores(LOGITS, RIGHT))
    assert np.isnan(each_class(wider, RIGHT)["auroc"][3])


def test_examples_of_one_class_have_neither_curves_nor_a_correlation() -> None:
    scores = class_scores(LOGITS[:2], np.array([0, 0]))
    assert scores["accuracy"] == scores["f1"] == 1
    assert np.isnan([scores["matthews"], scores["auroc"], scores["auprc"]]).all()


def test_matthews_by_hand() -> None:
    assert matthews(np.array([[3, 0], [0, 2]])) == 1
    assert matthews(np.array([[0, 3], [2, 0]])) == -1
    assert matthews(np.array([[3, 0], [2, 0]])) == 0  # one class is told of all
    assert np.isnan(matthews(np.array([[3, 2], [0, 0]])))
    # 4 of 6 right: (4 * 6 - 2 * 2 - 2 * 1 - 2 * 3) / sqrt((36 - 12) * (36 - 14))
    assert matthews(confusion(np.array(TOLD), RIGHT, 3)) == pytest.approx(12 / (24 * 22) ** 0.5)


def test_probabilities_near_one_keep_their_order() -> None:
    logits = np.array([[20.0, 0], [21, 0], [22, 0], [23, 0]], np.float32)  # in float32 all of them are 1
    assert class_scores(logits, np.array([1, 1, 0, 0]))["auroc"] == 1


def test_logits_between_0_and_1_are_no_probabilities() -> None:
    logits = np.array([[0.2, 0.9], [0.4, 0.1]], np.float32)
    scores = multi_label_scores(logits, np.ones((2, 2), np.float32))
    assert scores["f1"] == scores["exact_match"] == 1
    assert np.isnan(scores["auroc"])


def test_metrics_of_many_labels_by_hand() -> None:
    told = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
    right = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 1], [0, 1, 0]], np.float32)
    logits = np.where(told, 2.0, -2.0).astype(np.float32)
    scores = multi_label_scores(logits, right)
    assert list(scores) == ["f1", "f1_macro", "auroc", "auprc", "exact_match"]
    assert scores["f1"] == pytest.approx(2 * 4 / (5 + 5))
    assert scores["f1_macro"] == pytest.approx((1 + 2 * 1 / (2 + 2) + 1) / 3)
    assert scores["exact_match"] == 2 / 4
    assert scores["auroc"] == pytest.approx((1 + oracle.roc_auc_score(right[:, 1], told[:, 1]) + 1) / 3)
    assert scores["auprc"] == pytest.approx((1 + oracle.average_precision_score(right[:, 1], told[:, 1]) + 1) / 3)
    found = each_label(logits, right)
    assert found["precision"].tolist() == [1, 0.5, 1]
    assert found["recall"].tolist() == [1, 0.5, 1]
    assert found["support"].tolist() == [2, 2, 1]


def test_what_is_never_told_has_no_precision_and_what_is_never_right_no_recall() -> None:
    found = decided(np.array([[0, 1, 0]]), np.array([[1, 0, 0]]))
    assert np.isnan(found["precision"]).tolist() == [True, False, True]
    assert np.isnan(found["recall"]).tolist() == [False, True, True]
    assert found["f1"][:2].tolist() == [0, 0]
    assert np.isnan(found["f1"][2])


def test_curves_by_hand() -> None:
    import torch

    told = torch.tensor([[0.9], [0.8], [0.7], [0.6]], dtype=torch.float64)
    found = curve_scores(told, np.array([[1], [0], [1], [0]]))
    assert found["auroc"][0] == pytest.approx(3 / 4)
    assert found["auprc"][0] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
