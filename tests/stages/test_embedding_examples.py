from __future__ import annotations

import pyarrow as pa

from tests.stages.makers import IRON, LEAD, A, B, C, made

TEXTS = {"id": [1, 2], "text": ["lead", "a"], "other": ["iron", "a b c a b c a b c"]}


def test_texts_lie_end_to_end_each_with_special_tokens() -> None:
    table = pa.table({**TEXTS, "wrong": ["b", None], "worse": ["c", "c"]})
    long = [101, A, B, C, A, B, C, 102]
    assert made(table, "embedding", text_pair="other", negatives=["wrong", "worse"]) == [
        {
            "id": 1,
            "input_ids": [101, LEAD, 102, 101, IRON, 102, 101, B, 102, 101, C, 102],
            "segment_b_start": 0,
            "text_lengths": [3, 3, 3, 3],
            "score": None,
        },
        {
            "id": 2,
            "input_ids": [101, A, 102, *long, 101, C, 102],
            "segment_b_start": 0,
            "text_lengths": [3, 8, 3],  # a negative that is null is none
            "score": None,
        },
    ]


def test_a_pair_may_have_a_score() -> None:
    found = made(pa.table({**TEXTS, "similar": [0.5, 1.0]}), "embedding", text_pair="other", label="similar")
    assert [(row["text_lengths"], row["score"]) for row in found] == [([3, 3], 0.5), ([3, 8], 1.0)]
