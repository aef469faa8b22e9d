from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from pipelines.stages.answer_labels import Answer, is_answers, read_answers

STRUCT = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
LIST = pa.list_(pa.struct([("text", pa.string()), ("answer_start", pa.int64())]))
CONTEXT = "Der König schlief: gold, gold."


def read(value: Any, kind: pa.DataType = STRUCT) -> Answer | str:
    answers, faults = read_answers(pa.chunked_array([pa.array([value], kind)]), [CONTEXT])
    return faults.get(0, answers[0])


def test_types() -> None:
    assert is_answers(STRUCT)
    assert is_answers(LIST)
    assert not is_answers(pa.struct([("text", pa.list_(pa.string()))]))
    assert not is_answers(pa.list_(pa.string()))
    assert not is_answers(pa.string())


def test_the_first_is_told_by_its_place_in_code_points() -> None:
    found = read({"text": ["König", "Der König"], "answer_start": [4, 0]})
    assert found == Answer(["König", "Der König"], 4, 9)
    assert read([{"text": "gold", "answer_start": 25}], LIST) == Answer(["gold"], 25, 29)
    assert read({"text": [" schlief"], "answer_start": [9]}) == Answer([" schlief"], 10, 17)


@pytest.mark.parametrize("value", [{"text": [], "answer_start": []}, {"text": [""], "answer_start": [-1]}])
def test_there_may_be_none(value: dict[str, Any]) -> None:
    assert read(value) == Answer([])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "the answers are null"),
        ({"text": ["gold", None], "answer_start": [19, 1]}, "an answer is null"),
        ({"text": ["gold"], "answer_start": []}, "answers and their places differ in number"),
        ({"text": ["gold"], "answer_start": [18]}, "the answer is not in the context at its place"),
        ({"text": ["gold"], "answer_start": [-1]}, "the answer is not in the context at its place"),
    ],
)
def test_what_can_not_be_told(value: Any, reason: str) -> None:
    assert read(value) == reason


def test_a_list_may_hold_nulls() -> None:
    assert read([None], LIST) == "an answer is null"
