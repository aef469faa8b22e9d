"""Answers by hand, and against the plain way over all pairs of tokens."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.spans import best_spans, find_answers

LN = np.log
# [CLS] what [SEP] new york , then [SEP]: the question's characters are none of the text's.
CHARS = np.array([[-1, -1], [-1, -1], [-1, -1], [0, 3], [4, 6], [6, 8], [8, 9], [10, 14], [-1, -1]])
WORDS = np.array([-1, 0, -1, 0, 1, 1, 2, 3, -1])
IS_CLS = np.arange(9) == 0
OFFSETS = np.array([0, 9])


def answers(start, end, max_tokens=15, words=WORDS, is_cls=IS_CLS):
    logits = np.log(np.stack([np.array(start, float), np.array(end, float)], axis=1) + 1e-30)
    return find_answers(logits, OFFSETS, CHARS, words, is_cls, max_tokens)


def test_by_hand():
    """Start: [CLS] .2, new .5, yo .3; end: [CLS] .1, rk .6, then .3. Those of the question count for nothing."""
    found = answers([2, 50, 9, 5, 3, 0, 0, 0, 7], [1, 60, 9, 0, 0, 6, 0, 3, 9])
    assert (found.char_start.tolist(), found.char_end.tolist()) == ([0], [8])
    assert found.probability == pytest.approx([0.3])
    assert found.no_answer == pytest.approx([0.02])


def test_no_longer_than_asked():
    """New York and new york, are too long for two tokens: .3 * .6 remains."""
    found = answers([2, 0, 0, 5, 3, 0, 0, 0, 0], [1, 0, 0, 0, 0, 6, 0, 3, 0], max_tokens=2)
    assert (found.char_start.tolist(), found.char_end.tolist()) == ([4], [8])
    assert found.probability == pytest.approx([0.18])


def test_whole_words():
    start, end = [0, 0, 0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0, 0, 0]
    assert answers(start, end).char_start.tolist() == [4]  # york, of which only rk was found
    assert answers(start, end, words=None).char_start.tolist() == [6]


def test_without_cls_nothing_is_said_of_no_answer():
    found = answers([9, 0, 0, 1, 0, 0, 0, 0, 0], [9, 0, 0, 1, 0, 0, 0, 0, 0], is_cls=np.zeros(9, bool))
    assert np.isnan(found.no_answer).all()
    assert found.probability == pytest.approx([1.0])


def test_where_no_answer_fits():
    """The first chunk holds none of the text, the second failed."""
    logits = np.zeros((5, 2))
    logits[2:] = np.nan
    chars = np.array([[-1, -1], [-1, -1], [-1, -1], [0, 2], [3, 5]])
    is_cls = np.array([True, False, True, False, False])
    found = find_answers(logits, np.array([0, 2, 5]), chars, np.array([-1, -1, -1, 0, 1]), is_cls, 15)
    assert found.char_start.tolist() == [-1, -1]
    assert found.char_end.tolist() == [-1, -1]
    assert np.isnan(found.probability).all()
    assert found.no_answer[0] == 1.0
    assert np.isnan(found.no_answer[1])


def test_no_chunks():
    found = find_answers(np.zeros((0, 2)), np.array([0]), np.zeros((0, 2)), np.zeros(0), np.zeros(0, bool), 15)
    assert found.char_start.shape == (0,)


def plain(start, end, allowed, max_tokens):
    """All pairs: the first of the best, shortest of equals."""
    best = (-1, -1, -1.0)
    for first in range(len(start)):
        for last in range(first, min(len(start), first + max_tokens)):
            score = start[first] * end[last]
            if allowed[first] and allowed[last] and score > best[2]:
                best = (first, last, score)
    return best


CHUNK = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()), min_size=1, max_size=9)


@given(st.lists(CHUNK, min_size=1, max_size=4), st.integers(1, 10))
def test_as_among_all_pairs(chunks, max_tokens):
    start, end, allowed = (np.array([token[n] for chunk in chunks for token in chunk], float) for n in range(3))
    allowed = allowed.astype(bool)
    offsets = np.concatenate([[0], np.cumsum([len(chunk) for chunk in chunks])])
    first, last, scores = best_spans(start, end, offsets, allowed, max_tokens)
    for n, (a, b) in enumerate(itertools.pairwise(offsets)):
        expected = plain(start[a:b], end[a:b], allowed[a:b], max_tokens)
        if expected[0] < 0:
            assert (first[n], last[n]) == (-1, -1)
            assert np.isnan(scores[n])
        else:
            assert (first[n] - a, last[n] - a, scores[n]) == expected
