from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipelines.text.example_batch import ExampleBatch
from pipelines.train.scores.answers import Windows
from pipelines.train.scores.told import Told, joined, told_of


def batch(task: str, lengths: list[int], targets: Any, **fields: Any) -> ExampleBatch:
    offsets = np.cumsum([0, *lengths]).astype(np.int64)
    return ExampleBatch(
        task=task,
        values=np.zeros(offsets[-1], np.int32),
        offsets=offsets,
        segment_b_start=np.zeros(len(lengths), np.int32),
        targets=np.asarray(targets),
        **{"number": np.arange(len(targets)), **fields},
    )


def test_logits_stay_as_they_are() -> None:
    logits = np.array([[1.0, 2.0], [3.0, 0.0]])
    told = told_of(batch("classification", [3, 2], [1, 0], number=np.array([7, 3])), logits)
    assert told.predictions.tolist() == logits.tolist()
    assert (told.targets.tolist(), told.number.tolist(), len(told)) == ([1, 0], [7, 3], 2)


def test_of_tokens_those_with_a_class_stay_and_its_number() -> None:
    given = batch("token_classification", [4, 3], [-100, 1, 0, -100, -100, 2, -100], number=np.array([0, 1]))
    logits = np.eye(3)[[2, 1, 2, 0, 0, 2, 1]]
    told = told_of(given, logits)
    assert told.predictions.tolist() == [1, 2, 2]
    assert told.targets.tolist() == [1, 0, 2]
    assert told.counts is not None
    assert told.counts.tolist() == [2, 1]


def test_of_pairs_with_a_score_the_cosine_stays() -> None:
    vectors = np.array([[3.0, 0.0], [1.0, 1.0], [0.0, 2.0], [0.0, -1.0]])
    told = told_of(batch("embedding", [1, 1, 1, 1], [0.5, 0.1], examples=np.array([0, 2, 4])), vectors)
    assert told.predictions == pytest.approx([2**-0.5, -1.0])


def test_of_texts_that_belong_together_two_vectors_stay() -> None:
    vectors = np.array([[3.0, 0.0], [1.0, 1.0], [9.0, 9.0], [0.0, 2.0], [0.0, -1.0], [8.0, 8.0]])
    given = batch("embedding", [1] * 6, [], examples=np.array([0, 3, 6]), number=np.arange(2))
    told = told_of(given, vectors)
    half = 2**-0.5
    assert told.predictions == pytest.approx(np.array([[[1, 0], [half, half]], [[0, 1], [0, -1]]]))


def windows(count: int) -> Windows:
    return Windows(
        char_starts=np.array([-1, 0, 3] * count),
        char_ends=np.array([-1, 2, 5] * count),
        contexts=["in my"] * count,
        answers=[["my"]] * count,
        questions=["a"] * count,
    )


def test_of_windows_the_answer_stays() -> None:
    logits = np.array([[0.0, 0.5], [1.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0], [4.0, 1.0]])
    told = told_of(batch("question_answering", [3, 3], np.zeros((2, 2))), logits, windows(2))
    assert told.predictions.tolist() == [[3.0, 0.5], [5.0, 0.0]]
    assert told.answers.tolist() == ["in my", "my"]
    assert told.targets.tolist() == [["my"], ["my"]]
    assert told.questions.tolist() == ["a", "a"]
    with pytest.raises(ValueError, match="windows"):
        told_of(batch("question_answering", [3, 3], np.zeros((2, 2))), logits)


def same(one: Told, other: Told) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one) if getattr(one, name) is not None
    )


@pytest.mark.parametrize("task", ["classification", "token_classification", "question_answering"])
def test_joined_is_the_same_however_it_was_divided(task: str) -> None:
    rng = np.random.default_rng(0)
    lengths = [3] * 4

    def told(rows: list[int]) -> Told:
        outputs = {"classification": 4, "token_classification": 12, "question_answering": 12}[task]
        logits = np.random.default_rng(1).normal(size=(outputs, 2))
        targets = {
            "classification": np.arange(4), "question_answering": np.zeros((4, 2)),
            "token_classification": np.array([-100, 1, 1, -100, 0, -100, -100, -100, -100, 0, 1, 0]),
        }[task]  # fmt: skip
        places = np.concatenate([np.arange(3) + 3 * row for row in rows])
        if task == "classification":
            return told_of(batch(task, lengths[: len(rows)], targets[rows], number=np.array(rows)), logits[rows])
        taken = targets[rows] if task == "question_answering" else targets[places]
        given = batch(task, lengths[: len(rows)], taken, number=np.array(rows))
        return told_of(given, logits[places], windows(len(rows)) if task == "question_answering" else None)

    whole = joined([told([0, 1, 2, 3])])
    assert len(whole) == 4
    for rows in ([[3, 1], [0, 2]], [[2], [0], [3], [1]], [rng.permutation(4).tolist()]):
        assert same(joined([told(part) for part in rows]), whole)
