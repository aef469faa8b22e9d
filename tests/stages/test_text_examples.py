from __future__ import annotations

import pyarrow as pa

from tests.stages.makers import IRON, LEAD, A, B, C, made

TEXTS = {"id": [7, 8], "text": ["Lead", "a b c a b c a b c"]}
LONG = [101, A, B, C, A, B, C, 102]


def test_one_class() -> None:
    table = pa.table({**TEXTS, "label": [3, 1]})
    assert made(table, "classification", label="label", labels=["1", "3"]) == [
        {"id": 7, "input_ids": [101, LEAD, 102], "segment_b_start": 0, "label": 1},
        {"id": 8, "input_ids": LONG, "segment_b_start": 0, "label": 0},
    ]


def test_several_classes_are_rising_each_once() -> None:
    table = pa.table({**TEXTS, "label": [["y", "x", "y"], []]})
    found = made(table, "multi_label", label="label", labels=["x", "y"])
    assert [row["labels"] for row in found] == [[0, 1], []]


def test_a_pair_with_a_number() -> None:
    table = pa.table({**TEXTS, "other": ["iron", "a b c"], "value": [1, -2]})
    assert made(table, "regression", text_pair="other", label="value") == [
        {"id": 7, "input_ids": [101, LEAD, 102, IRON, 102], "segment_b_start": 3, "value": 1.0},
        {"id": 8, "input_ids": [101, A, B, C, 102, A, B, 102], "segment_b_start": 5, "value": -2.0},
    ]


def test_several_columns_are_one_text() -> None:
    table = pa.table({"id": [1, 2], "title": ["a", None], "text": ["b", "c"], "label": [True, False]})
    found = made(table, "classification", text=["title", "text"], label="label", labels=["false", "true"])
    assert [(row["input_ids"], row["label"]) for row in found] == [([101, A, B, 102], 1), ([101, C, 102], 0)]
