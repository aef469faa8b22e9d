from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pipelines.run.answers.values import cell, shown_value


def shown(name: str, value: Any, width: int = 80) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(shown_value(name, value))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"), ([], "none"), ("a [b]", "a [b]"), (7, "7"), (0.123456, "0.1235"), (["x", "y"], "x, y"),
        ([0.5, -1.0], "0.500 -1.000"), ({"start": 3, "score": 0.25}, "start 3, score 0.25"),
        ([0.0, 2.0] * 4, "[8], mean 1.0000, deviation 1.0000, 0.000 2.000 0.000 2.000 0.000 2.000 ..."),
        ([np.float16(2), np.float16(1)], "2.000 1.000"), ([[0.5], [1.0, 2.0]], "0.500, 1.000 2.000"),
        ([1, None, 3], "1, none, 3"),
        ([[np.float16(1)] * 4] * 2, "[2, 4], mean 1.0000, deviation 0.0000, 1.000 1.000 1.000 1.000 1.000 1.000 ..."),
    ],
)  # fmt: skip
def test_cells(value: Any, text: str) -> None:
    assert cell(value) == text


def test_a_vector_and_a_struct_take_a_line() -> None:
    assert shown("embedding", [1.0, 3.0]) == ["embedding  1.000 3.000"]
    assert shown("next_sentence", {"is_next": 0.75, "reason": None}) == ["next_sentence  is_next 0.75, reason none"]


def test_labels_and_their_probabilities_stand_side_by_side() -> None:
    lines = shown("classify", {"label": "[good]", "labels": ["[good]", "bad"], "probabilities": [0.75, 0.25]})
    assert lines[0] == "classify  label [good]"
    assert lines[1].split() == ["labels", "probabilities"]
    assert [line.split() for line in lines[2:]] == [["[good]", "0.75", "█" * 15], ["bad", "0.25", "█" * 5]]


def test_a_list_of_structs_is_a_table() -> None:
    lines = shown("entities", [{"label": "PER", "char_start": 0}, {"label": "LOC", "char_start": 17}])
    assert [line.split() for line in lines] == [["entities"], ["label", "char_start"], ["PER", "0"], ["LOC", "17"]]


def test_lists_of_other_lengths_stay_apart() -> None:
    lines = shown("x", {"a": [1.5], "b": ["u", "v"]})
    assert lines == ["x", "  a  1.500", "  b  u, v"]


def test_vectors_of_tokens_stand_beside_their_places() -> None:
    vectors = [[0.5] * 8, [0.25] * 8]
    lines = shown("token_embeddings", {"vectors": vectors, "char_starts": [None, 4], "char_ends": [None, 9]}, 60)
    assert [line.split() for line in lines[1:]] == [
        ["vectors", "char_starts", "char_ends"],
        ["[8]", "0.500", "0.500", "0.500", "...", "none", "none"],
        ["[8]", "0.250", "0.250", "0.250", "...", "4", "9"],
    ]
