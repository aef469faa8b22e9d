from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.examples import ANSWERS, CHAR_ENDS, CHAR_STARTS, CONTEXT
from pipelines.store.location import locate
from pipelines.train.row_groups import RowGroupReader, list_row_groups
from pipelines.train.scores.answers import COLUMNS, Windows, answered, best_answers, exact_match, normalized, token_f1
from pipelines.train.streams import Places
from tests.example_rows import example, put_examples


def windows(contexts: list[str], spans: list[list[tuple[int, int]]]) -> Windows:
    starts, ends = np.array([span for window in spans for span in window]).T
    return Windows(
        char_starts=starts, char_ends=ends, contexts=contexts, answers=[[]] * len(contexts), questions=contexts
    )


def test_the_best_span_has_the_greatest_sum_and_does_not_run_backwards() -> None:
    given = windows(["one two six"], [[(-1, -1), (0, 3), (4, 7), (8, 11)]])
    logits = np.array([[0.5, 0.25], [0.0, 9.0], [4.0, 1.0], [3.0, 3.0]])
    scores, answers = best_answers(logits, np.array([0, 4]), given)
    assert answers.tolist() == ["one"]  # 0 + 9; 4 + 9 would run backwards
    assert scores.tolist() == [[9.0, 0.75]]
    logits[1, 1] = 2
    scores, answers = best_answers(logits, np.array([0, 4]), given)
    assert (answers.tolist(), scores[0, 0]) == (["two six"], 7)


def test_the_best_span_is_of_so_many_tokens_at_most_and_within_the_context() -> None:
    given = windows(["ab c"], [[(-1, -1), (-1, -1), (0, 1), (1, 2), (3, 4)]])
    logits = np.array([[0, 0], [99, 99], [5, 0], [0, 1], [0, 5.0]])
    for most, expected in ((30, "ab c"), (2, "ab"), (1, "a")):
        assert best_answers(logits, np.array([0, 5]), given, most)[1].tolist() == [expected]


def test_a_window_without_context_has_no_span() -> None:
    given = windows(["", "ab"], [[(-1, -1), (-1, -1)], [(-1, -1), (0, 2)]])
    scores, answers = best_answers(np.zeros((4, 2)), np.array([0, 2, 4]), given)
    assert answers.tolist() == ["", "ab"]
    assert scores[:, 0].tolist() == [-np.inf, 0]


def test_large_logits_keep_their_order() -> None:
    given = windows(["ab", "ab"], [[(-1, -1), (0, 1), (1, 2)]] * 2)
    logits = np.array([[0, 0], [900, 900], [901, 902], [0, 0], [-950, -990], [-951, -900.0]])
    assert best_answers(logits, np.array([0, 3, 6]), given)[1].tolist() == ["b", "ab"]


def test_windows_of_a_question_are_joined() -> None:
    scores = np.array([[1.0, 5.0], [6.0, 2.0], [3.0, 4.0], [0.0, 1.0]])
    found = answered(scores, ["far", "near", "any", "some"], [["near"], ["near"], [], ["some"]], [7, 7, "x", 9])
    assert found.answers == ["near", "", ""]
    assert found.exact == [1, 1, 0]  # the last one has an answer, and none was told
    assert found.f1 == [1, 1, 0]
    assert found.has_answer == [True, False, True]


def test_the_best_of_several_right_answers_counts() -> None:
    found = answered(np.array([[1.0, 0.0]]), ["the red fox"], [["fox", "red dog", "a red fox"]], [0])
    assert (found.exact, found.f1) == ([1], [1])
    found = answered(np.array([[1.0, 0.0]]), ["the red fox"], [["fox", "red dog"]], [0])
    assert found.f1 == pytest.approx([2 / 3])  # one of two words, and the one word: 2 * 1 / (2 + 1)


def test_answers_are_compared_as_squad_does() -> None:
    assert normalized("The  Quick, brown-fox: an a.b!") == "quick brownfox ab"
    assert exact_match("The fox.", "fox") == 1
    assert exact_match("foxes", "fox") == 0
    assert token_f1("in the year 1066", "year 1066 AD") == pytest.approx(2 * 2 / (3 + 3))
    assert token_f1("fox fox", "fox") == pytest.approx(2 / 3)
    assert token_f1("", "") == 1
    assert token_f1("fox", "") == token_f1("the", "fox") == 0


def test_windows_are_read_beside_instances(tmp_path: Path) -> None:
    rows = [
        example([2, 5, 3, 6, 3], answer_start=3, answer_end=3, char_starts=[-1, -1, -1, 0, -1],
                char_ends=[-1, -1, -1, 3, -1], context="fox", answers=["fox", "a fox"]),
        example([2, 5, 3], answer_start=0, answer_end=0, char_starts=[-1] * 3, char_ends=[-1] * 3, context="",
                answers=[], id="other"),
    ]  # fmt: skip
    location = locate(str(tmp_path))
    put_examples(location, "parts/a/0-2.parquet", "question_answering", rows)
    groups = list_row_groups(location, ["parts/a/0-2.parquet"])
    assert (CHAR_STARTS, CHAR_ENDS, CONTEXT, ANSWERS) == COLUMNS
    reader = RowGroupReader(groups, columns=[*COLUMNS, "id"])
    zeros, rising = np.zeros(2, np.int64), np.arange(2)
    places = Places(epoch=zeros, group=zeros, row=rising, number=rising)
    found = Windows.of(reader.instances(places, 1).beside, "id")
    assert found.char_starts.tolist() == [-1, -1, -1, 0, -1, -1, -1, -1]
    assert (found.contexts, found.answers, found.questions) == (["fox", ""], [["fox", "a fox"], []], ["d0", "other"])
