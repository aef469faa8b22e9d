from __future__ import annotations

import pyarrow as pa

from tests.stages.makers import A, B, C, D, made

WHO, MARK = 2040, 1029
FIELDS = {"text": "question", "text_pair": "context", "label": "answers", "max_seqlen": 9}


def test_each_window_of_a_context_is_an_example() -> None:
    answers = {"text": ["b c", "B C"], "answer_start": [2, 0]}
    table = pa.table({"id": [1], "question": ["who?"], "context": ["a b c d a b"], "answers": [answers]})
    about = {"id": 1, "segment_b_start": 4, "context": "a b c d a b", "answers": ["b c", "B C"]}
    assert made(table, "question_answering", stride=2, **FIELDS) == [
        {
            **about,
            "input_ids": [101, WHO, MARK, 102, A, B, C, D, 102],
            "answer_start": 5,
            "answer_end": 6,
            "char_starts": [-1, -1, -1, -1, 0, 2, 4, 6, -1],
            "char_ends": [-1, -1, -1, -1, 1, 3, 5, 7, -1],
        },
        {
            **about,
            "input_ids": [101, WHO, MARK, 102, C, D, A, B, 102],
            "answer_start": 0,
            "answer_end": 0,
            "char_starts": [-1, -1, -1, -1, 4, 6, 8, 10, -1],
            "char_ends": [-1, -1, -1, -1, 5, 7, 9, 11, -1],
        },
    ]


def test_a_question_may_have_no_answer() -> None:
    kind = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
    answers = pa.array([{"text": [], "answer_start": []}], kind)
    table = pa.table({"id": [1], "question": ["who?"], "context": ["a"], "answers": answers})
    (row,) = made(table, "question_answering", **FIELDS)
    assert (row["answers"], row["answer_start"], row["answer_end"]) == ([], 0, 0)
