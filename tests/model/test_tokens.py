"""Windows of encodings by hand, in frames as the tokenizer makes them."""

from __future__ import annotations

import numpy as np
from tokenizers import Encoding, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from pipelines.model.asked import Asked
from pipelines.model.tokens import Frame, common_prefix, cut, joined, word_numbers

EVERYTHING = Asked(words=True, chars=True)
LONE = np.array([0], np.int32)
TEXT = "a bb c d"


def encoding(text: str = TEXT) -> Encoding:
    """a = 1, bb = 2 and so on."""
    tokenizer = Tokenizer(WordLevel({"?": 0, "a": 1, "bb": 2, "c": 3, "d": 4}, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer.encode(text)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def frame(**fields: object) -> Frame:
    """[8] and [9] around windows of three tokens."""
    plain = {"prefix": ints(8), "words": ints(-1), "suffix": ints(9), "begin": 0, "stop": 4, "room": 3}
    return Frame(**{**plain, **fields})  # type: ignore[arg-type]


def test_the_beginning_alone() -> None:
    found = cut(TEXT, encoding(), frame(), None, LONE, EVERYTHING)
    assert [row.tolist() for row in found.rows] == [[8, 1, 2, 3, 9]]
    assert [row.tolist() for row in found.words] == [[-1, 0, 1, 2, -1]]
    assert [row.tolist() for row in found.chars] == [[[-1, -1], [0, 1], [2, 4], [5, 6], [-1, -1]]]
    assert (found.truncated, found.spans.tolist(), found.segment_b_start) == (True, [[0, 6]], 1)


def test_windows_that_share_tokens() -> None:
    found = cut(TEXT, encoding(), frame(), 2, LONE, EVERYTHING)
    assert [row.tolist() for row in found.rows] == [[8, 1, 2, 3, 9], [8, 2, 3, 4, 9]]
    assert [row.tolist() for row in found.words] == [[-1, 0, 1, 2, -1], [-1, 1, 2, 3, -1]]
    assert (found.truncated, found.spans.tolist()) == (False, [[0, 6], [2, 8]])


def test_words_go_on_behind_those_of_the_frame_and_what_is_cut_is_told() -> None:
    behind = frame(prefix=ints(8, 1, 2, 9), words=ints(-1, 0, 1, -1), stop=2, is_cut=True)
    found = cut(TEXT, encoding(), behind, None, LONE, EVERYTHING)
    assert [row.tolist() for row in found.rows] == [[8, 1, 2, 9, 1, 2, 9]]
    assert [row.tolist() for row in found.words] == [[-1, 0, 1, -1, 2, 3, -1]]
    assert (found.truncated, found.segment_b_start) == (True, 4)


def test_places_leave_out_what_stands_before_the_text() -> None:
    found = cut("c d", encoding("a bb c d"), frame(begin=2, skipped=5), None, LONE, EVERYTHING)
    assert [row.tolist() for row in found.rows] == [[8, 3, 4, 9]]
    assert [row.tolist() for row in found.chars] == [[[-1, -1], [0, 1], [2, 3], [-1, -1]]]
    assert found.spans.tolist() == [[0, 3]]


def test_a_text_without_any_token() -> None:
    empty = frame(prefix=ints(), words=ints(), suffix=ints(), stop=0)
    found = cut("", encoding(""), empty, None, LONE, EVERYTHING)
    assert [row.tolist() for row in found.rows] == [[0]]
    assert [row.tolist() for row in found.words] == [[-1]]
    assert [row.tolist() for row in found.chars] == [[[-1, -1]]]


def test_documents_are_joined_flat() -> None:
    documents = [
        cut(TEXT, encoding(), frame(), 2, LONE, EVERYTHING),
        cut("a", encoding("a"), frame(stop=1), 2, LONE, EVERYTHING),
    ]
    found = joined(documents, EVERYTHING)
    assert found.values.tolist() == [8, 1, 2, 3, 9, 8, 2, 3, 4, 9, 8, 1, 9]
    assert found.offsets.tolist() == [0, 5, 10, 13]
    assert (found.document.tolist(), found.chunk_index.tolist()) == ([0, 0, 1], [0, 1, 0])
    assert (found.char_start.tolist(), found.char_end.tolist()) == ([0, 2, 0], [6, 8, 1])
    assert found.segment_b_start is None
    assert found.words is not None
    assert found.words[10:].tolist() == [-1, 0, -1]
    pairs = joined(documents, Asked(are_pairs=True))
    assert pairs.segment_b_start is not None
    assert pairs.segment_b_start.tolist() == [1, 1, 1]
    assert (pairs.words, pairs.chars) == (None, None)


def test_nothing_to_join() -> None:
    found = joined([], EVERYTHING)
    assert (found.values.tolist(), found.offsets.tolist()) == ([], [0])
    assert found.chars is not None
    assert found.chars.shape == (0, 2)


def test_numbers_of_words() -> None:
    assert word_numbers(encoding()).tolist() == [0, 1, 2, 3]
    assert common_prefix(ints(1, 2, 3), ints(1, 2, 4, 5)) == 2
    assert common_prefix(ints(1, 2), ints(1, 2, 3)) == 2
