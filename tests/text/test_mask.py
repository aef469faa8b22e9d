"""Masked copies, by hand and by their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.mask import MaskedCopies, mask_copies, masked_values, nth_words_masked

S = 9  # a special token, which is not scored
IDS = np.array([S, 1, 2, 3, 4, S, S, 5, S], np.int32)  # two chunks
OFFSETS = np.array([0, 6, 9])
SCORABLE = IDS != S
WORDS = np.array([-1, 0, 0, 0, 1, -1, -1, 0, -1])  # 1 2 3 are one word


def told(copies: MaskedCopies) -> list[tuple[int, list[int], list[int]]]:
    """Chunk, masked positions and scored positions of each copy."""
    return [
        (int(chunk), copies.positions[a:b].tolist(), copies.positions[a:b][copies.scored[a:b]].tolist())
        for chunk, a, b in zip(copies.chunk, copies.mask_offsets[:-1], copies.mask_offsets[1:], strict=True)
    ]


@pytest.mark.parametrize(
    ("unit", "stride", "expected"),
    [
        ("token", 0, [(0, [1], [1]), (0, [2], [2]), (0, [3], [3]), (0, [4], [4]), (1, [1], [1])]),
        ("token", 2, [(0, [1, 3], [1, 3]), (0, [2, 4], [2, 4]), (1, [1], [1])]),
        ("word", 0, [(0, [1, 2, 3], [1, 2, 3]), (0, [4], [4]), (1, [1], [1])]),
        ("word", 1, [(0, [1, 2, 3, 4], [1, 2, 3, 4]), (1, [1], [1])]),
        ("word_l2r", 0, [(0, [1, 2, 3], [1]), (0, [2, 3], [2]), (0, [3], [3]), (0, [4], [4]), (1, [1], [1])]),
        ("word_l2r", 1, [(0, [1, 2, 3, 4], [1, 4]), (0, [2, 3], [2]), (0, [3], [3]), (1, [1], [1])]),
    ],
)
def test_by_hand(unit, stride, expected):
    assert told(mask_copies(SCORABLE, WORDS, OFFSETS, unit, stride)) == expected


def test_the_values_of_copies():
    copies = mask_copies(SCORABLE, WORDS, OFFSETS, "word", 0)
    values, offsets = masked_values(IDS, OFFSETS, copies, 7)
    assert values.dtype == np.int32
    assert values.tolist() == [S, 7, 7, 7, 4, S, S, 1, 2, 3, 7, S, S, 7, S]
    assert offsets.tolist() == [0, 6, 12, 15]


def test_nothing_to_score():
    copies = mask_copies(np.zeros(3, bool), np.zeros(3), np.array([0, 2, 2, 3]), "word_l2r", 2)
    assert len(copies) == 0
    assert [array.tolist() for array in masked_values(np.arange(3), np.array([0, 2, 2, 3]), copies, 7)] == [[], [0]]


@pytest.mark.parametrize(
    ("every", "expected"),
    [(1, [S, 7, 7, 7, 7, S, S, 7, S]), (2, [S, 1, 2, 3, 7, S, S, 5, S]), (3, IDS.tolist())],
)
def test_every_nth_word_by_hand(every, expected):
    assert nth_words_masked(IDS, OFFSETS, SCORABLE, WORDS, 7, every).tolist() == expected
    assert IDS[1] == 1  # what was given stays


def test_where_there_is_a_mask_no_word_is_masked():
    values = np.array([1, 7, 2, 3, 4], np.int32)
    masked = nth_words_masked(values, np.array([0, 3, 5]), values != 7, np.arange(5), 7, 2)
    assert masked.tolist() == [1, 7, 2, 3, 7]


CHUNKS = st.lists(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12), max_size=5)


@given(CHUNKS, st.sampled_from(["token", "word", "word_l2r"]), st.integers(0, 5))
def test_each_scorable_token_is_scored_once_and_is_masked_then(chunks, unit, stride):
    scorable = np.array([token[0] for chunk in chunks for token in chunk], bool)
    words = np.cumsum([token[1] for chunk in chunks for token in chunk], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum([len(chunk) for chunk in chunks])]).astype(np.int64)
    copies = mask_copies(scorable, words, offsets, unit, stride)
    scored = np.zeros(len(scorable), int)
    for chunk, masked, here in told(copies):
        assert masked == sorted(set(masked))
        assert here
        assert scorable[offsets[chunk] + np.array(masked)].all()
        scored[offsets[chunk] + np.array(here)] += 1
    assert scored.tolist() == scorable.astype(int).tolist()
    if unit != "word_l2r" and stride:
        assert np.bincount(copies.chunk, minlength=1).max(initial=0) <= stride
