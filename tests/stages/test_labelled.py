"""What is told of documents, and why of some nothing is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.example_spec import ExampleSpec
from pipelines.stages.labelled import Labelled, read_labelled, read_numbers
from pipelines.stages.slicewise import ROW


def spec(task: str, **fields: Any) -> ExampleSpec:
    return ExampleSpec(model="m", task=task, max_seqlen=16, **fields)  # type: ignore[arg-type]


def read(asked: ExampleSpec, **columns: Any) -> Labelled:
    table = pa.table(columns)
    numbers = pa.array(range(10, 10 + table.num_rows), pa.int64())
    return read_labelled(table.append_column(ROW, numbers), asked)


def test_classes_are_those_of_the_spec() -> None:
    asked = spec("classification", label="label", labels=["a", "b"])
    found = read(asked, id=[1, 2, 3, 4], text=["w", "x", None, "z"], label=["b", "c", "a", None])
    assert found.faults == {11: "a label is none of the classes", 12: "the text is null", 13: "the label is null"}
    assert (found.texts, found.classes.values.tolist(), found.names) == ([["w"]], [1], ["a", "b"])
    assert found.documents["id"].to_pylist() == [1]


def test_without_them_they_are_those_that_are_there() -> None:
    found = read(spec("classification", label="label"), id=[1, 2, 3], text=["x", "y", "z"], label=["b", "a", "b"])
    assert [found.names[code] for code in found.classes.values] == ["b", "a", "b"]


def test_tags_are_one_a_word() -> None:
    asked = spec("token_classification", text="words", label="tags", labels=["O", "X"])
    found = read(
        asked,
        id=range(5),
        words=[["a", "b"], ["a"], [], ["a", None], ["c"]],
        tags=[["O", "X"], ["O", "X"], [], ["O", "X"], ["X"]],
    )
    assert found.faults == {11: "words and tags differ in number", 12: "there are no words", 13: "a word is null"}
    assert (found.texts, found.classes.values.tolist()) == ([[["a", "b"], ["c"]]], [0, 1, 1])


@pytest.mark.parametrize("kind", [pa.float64(), pa.decimal128(5, 2), pa.int16()])
def test_numbers_are_finite(kind: pa.DataType) -> None:
    found = read(spec("regression", label="value"), id=[1, 2], text=["x", "y"], value=pa.array([2, None], kind))
    assert found.numbers is not None
    assert (found.numbers.tolist(), found.faults) == ([2.0], {11: "the label is null"})
    _, faults = read_numbers(pa.chunked_array([pa.array([float("nan"), 1e300, float("-inf"), 1.5])]))
    assert faults == dict.fromkeys(range(3), "the label is no finite number")


def test_pairs_and_answers() -> None:
    asked = spec("question_answering", text="question", text_pair="context", label="answers")
    found = read(
        asked,
        id=[1, 2, 3],
        question=["who", "who", "who"],
        context=["lead", "iron", None],
        answers=[{"text": ["lead"], "answer_start": [0]}, {"text": ["x"], "answer_start": [0]}, None],
    )
    assert found.texts == [["who"], ["lead"]]
    assert found.answers is not None
    assert [(one.begin, one.end) for one in found.answers] == [(0, 4)]
    assert found.faults == {11: "the answer is not in the context at its place", 12: "the second text is null"}


def test_equal_texts_have_equal_digests() -> None:
    asked = spec("embedding", text_pair="other")
    one = read(asked, id=[1, 2, 3], text=["a", "ab", "a"], other=["bc", "c", "bc"]).digests()
    assert one[0] == one[2] != one[1]
    words = spec("token_classification", text="words", label="tags")
    two = read(words, id=[1, 2], words=[["a", "b"], ["a b", ""]], tags=[["O", "O"], ["O", "O"]]).digests()
    assert two[0] != two[1]
    assert two.dtype == np.uint64
