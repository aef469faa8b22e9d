from __future__ import annotations

import numpy as np
import pytest

from pipelines.train.scores.names import NAMES, SIMILARITY
from pipelines.train.scores.tasks import is_scored, task_details, task_scores
from pipelines.train.scores.told import Told

LOGITS = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
HALF = 2**-0.5


def objects(values: list[object]) -> np.ndarray:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def told(task: str) -> tuple[Told, list[str]]:
    number = np.arange(4)
    match task:
        case "classification":
            return Told(predictions=LOGITS, targets=np.array([0, 1, 1, 2]), number=number), ["a", "b", "c"]
        case "multi_label":
            right = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.float32)
            return Told(predictions=np.array([[1, -1], [1, 1], [2, 1], [-1, -2]], np.float32), targets=right,
                        number=number), ["a", "b"]  # fmt: skip
        case "regression":
            return Told(predictions=np.array([1.0, 2, 3, 5]), targets=np.array([1.0, 2, 3, 4]), number=number), []
        case "token_classification":
            right = np.array([1, 2, 0, 3, 0, 1])
            return Told(predictions=np.array([1, 2, 0, 1, 0, 0], np.int32), targets=right, number=np.arange(2),
                        counts=np.array([3, 3])), ["O", "B-PER", "I-PER", "B-LOC"]  # fmt: skip
        case "question_answering":
            return Told(
                predictions=np.array([[3.0, 1], [1, 2], [2, 0]]), targets=objects([["a fox"], [], ["red dog"]]),
                answers=objects(["fox", "cat", "dog"]), questions=objects([0, 1, 2]), number=np.arange(3),
            ), []  # fmt: skip
        case "scored":
            return Told(predictions=np.array([0.1, 0.5, 0.6, 0.9]), targets=np.array([1.0, 2, 3, 4]), number=number), []
    pairs = np.array([[[1.0, 0], [1, 0]], [[0, 1], [HALF, HALF]]])
    return Told(predictions=pairs, targets=np.empty(0), number=np.arange(2)), []


@pytest.mark.parametrize("task", [*NAMES, "scored"])
def test_each_task_has_its_metrics_in_their_order(task: str) -> None:
    given, labels = told(task)
    real = "embedding" if task == "scored" else task
    scores = task_scores(real, given, labels)
    assert tuple(scores) == (SIMILARITY if task == "scored" else NAMES[real])
    assert all(type(value) is float for value in scores.values())
    assert task_details(real, given, labels).notes == ()
    assert is_scored(given) == (task in ("regression", "scored", "token_classification"))


def test_first_metrics_by_hand() -> None:
    expected = {
        "classification": 3 / 4, "multi_label": 2 * 4 / (5 + 4), "regression": 1.0, "token_classification": 2 / 5,
        "question_answering": (1 + 1 + 2 / 3) / 3, "scored": 1.0, "embedding": 1.0,
    }  # fmt: skip
    for task, value in expected.items():
        given, labels = told(task)
        scores = task_scores("embedding" if task == "scored" else task, given, labels)
        assert next(iter(scores.values())) == pytest.approx(value), task


def test_details_of_classes() -> None:
    given, labels = told("classification")
    details = task_details("classification", given, labels)
    assert details.confusion is not None
    assert details.confusion.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert details.by_class["b"] == pytest.approx(
        {"precision": 1, "recall": 0.5, "f1": 2 / 3, "support": 2, "auroc": 0.75, "auprc": 0.75}
    )


def test_details_of_entities_and_of_questions() -> None:
    assert task_details("token_classification", *told("token_classification")).by_class == {
        "LOC": {"recall": 0.0, "f1": 0.0, "support": 1.0},
        "PER": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2.0},
    }
    assert task_details("question_answering", *told("question_answering")).by_class == {
        "with an answer": {"f1": pytest.approx(5 / 6), "exact_match": 0.5, "support": 2.0},
        "without an answer": {"f1": 1.0, "exact_match": 1.0, "support": 1.0},
    }


def test_what_is_not_defined_is_left_out_and_said() -> None:
    one_class = Told(predictions=LOGITS[:2], targets=np.array([0, 0]), number=np.arange(2))
    assert list(task_scores("classification", one_class, ["a", "b", "c"])) == ["accuracy", "f1", "f1_weighted"]
    assert task_details("classification", one_class, ["a", "b", "c"]).notes == (
        "matthews and auroc and auprc not defined: the examples are all of one class",
        "no example has classes b, c: left out of the means of auroc and auprc",
    )
    same = Told(predictions=np.ones(2), targets=np.array([1.0, 2.0]), number=np.arange(2))
    assert list(task_scores("regression", same, [])) == ["rmse", "mae"]
    assert task_details("regression", same, []).notes == (
        "spearman and pearson not defined: all values that are right, or all that are told, are the same",
    )
