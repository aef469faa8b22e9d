"""Columns of answers, as SQuAD has them: their texts, and where each begins in its context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

ANSWER_TEXT, ANSWER_BEGIN = "text", "answer_start"


@dataclass(frozen=True)
class Answer:
    """What is right of a question: texts, [] where there is no answer, and where the first is: -1, -1 where nowhere."""

    texts: list[str]
    begin: int = -1
    end: int = -1


def is_answers(kind: pa.DataType) -> bool:
    """Whether values of the type are answers: a struct of two lists, or a list of structs."""
    has_lists = pa.types.is_struct(kind)
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    struct = kind if has_lists else kind.value_type if is_list else None
    if struct is None or not pa.types.is_struct(struct):
        return False
    return {ANSWER_TEXT, ANSWER_BEGIN} <= {struct.field(i).name for i in range(struct.num_fields)}


def read_answers(column: pa.ChunkedArray, contexts: Sequence[Any]) -> tuple[list[Answer], dict[int, str]]:
    """The answers of each row, and why rows have none that can be told, by their place.

    The first one is to be in its context at its place, in code points; the others are told by their texts alone.
    """
    answers: list[Answer] = []
    faults: dict[int, str] = {}
    for place, (value, context) in enumerate(zip(column.to_pylist(), contexts, strict=True)):
        found = _answer(value, context if isinstance(context, str) else "")
        answers.append(found if isinstance(found, Answer) else Answer([]))
        if isinstance(found, str):
            faults[place] = found
    return answers, faults


def _answer(value: Any, context: str) -> Answer | str:
    """What is right, or why that can't be told."""
    if value is None:
        return "the answers are null"
    texts, begins = _columns(value)
    if None in texts or None in begins:
        return "an answer is null"
    if len(texts) != len(begins):
        return "answers and their places differ in number"
    given = [(text, begin) for text, begin in zip(texts, begins, strict=True) if text.strip()]
    if not given:
        return Answer([])
    text, begin = given[0]
    if begin < 0 or context[begin : begin + len(text)] != text:
        return "the answer is not in the context at its place"
    begin += len(text) - len(text.lstrip())
    return Answer([text for text, _ in given], begin, begin + len(text.strip()))


def _columns(value: Mapping[str, Any] | Sequence[Mapping[str, Any] | None]) -> tuple[list[Any], list[Any]]:
    if isinstance(value, Mapping):
        return value[ANSWER_TEXT] or [], value[ANSWER_BEGIN] or []
    return [one and one[ANSWER_TEXT] for one in value], [one and one[ANSWER_BEGIN] for one in value]
