"""Whole sentences packed to the room: by hand, and by what must hold for any documents."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.text.full_length import FullLength, full_length
from pipelines.text.segments import TakenDocuments
from tests.text.test_segments import documents


def ranges(found: FullLength) -> list[list[list[int]]]:
    """The ranges of each instance, without empty ones."""
    bounds = found.offsets.tolist()
    each = [found.ranges[start:stop].tolist() for start, stop in pairwise(bounds)]
    return [[one for one in instance if one[0] < one[1]] for instance in each]


def test_instances_by_hand() -> None:
    """The order that is drawn of keys 1, 2 and 3 is 2, 3, 1, that is tokens 9 on, 13 on, 0 on. The separator is 23."""
    offsets, taken = documents([[4, 5], [4], [10]])
    found = full_length(offsets, taken, room=8, seed=0, num_separators=1, at_the_end=False)
    assert ranges(found) == [[[9, 13]], [[13, 21]], [[21, 23], [23, 24], [0, 4]], [[4, 9]]]
    assert found.document.tolist() == [1, 2, 2, 0]


def test_a_separator_ends_an_instance_only_where_nothing_else_does() -> None:
    offsets, taken = documents([[3], [3]])
    for at_the_end, last in ((False, []), (True, [[6, 7]])):
        found = full_length(offsets, taken, room=8, seed=0, num_separators=1, at_the_end=at_the_end)
        (one,) = ranges(found)
        assert one[1:2] == [[6, 7]]
        assert one[3:] == last
    full = full_length(*documents([[8]]), room=8, seed=0, num_separators=1, at_the_end=True)
    assert ranges(full) == [[[0, 8]]]  # there is no room for it
    none = full_length(offsets, taken, room=8, seed=0, num_separators=0, at_the_end=True)
    assert sorted(ranges(none)[0]) == [[0, 3], [3, 6]]


def test_filled_instances_by_hand() -> None:
    """Documents in the order 2, 3, 1 with a separator (23) behind each: 4 + 1, 10 + 1 and 9 tokens, cut at each 8.

    The first separator is the fifth token, the second one the sixteenth, and ends an instance.
    """
    offsets, taken = documents([[4, 5], [4], [10]])
    found = full_length(offsets, taken, room=8, seed=0, num_separators=1, at_the_end=False, whole=False)
    assert ranges(found) == [[[9, 13], [23, 24], [13, 16]], [[16, 23]], [[0, 8]], [[8, 9]]]
    assert found.document.tolist() == [1, 2, 0, 0]
    ended = full_length(offsets, taken, room=8, seed=0, num_separators=1, at_the_end=True, whole=False)
    assert ranges(ended)[1:] == [[[16, 23], [23, 24]], [[0, 8]], [[8, 9], [23, 24]]]


def test_a_separator_is_no_instance_of_its_own() -> None:
    for at_the_end in (False, True):
        found = full_length(*documents([[8]]), room=8, seed=0, num_separators=1, at_the_end=at_the_end, whole=False)
        assert ranges(found) == [[[0, 8]]]


def test_copies_come_one_after_another() -> None:
    offsets, once = documents([[6]] * 8)
    twice = TakenDocuments(
        sentences=np.repeat(once.sentences, 2, axis=0), keys=np.repeat(once.keys, 2), copies=np.tile([0, 1], 8)
    )
    found = full_length(offsets, twice, room=6, seed=0, num_separators=0, at_the_end=False)
    starts = [instance[0][0] for instance in ranges(found)]
    assert sorted(starts[:8]) == sorted(starts[8:]) == list(range(0, 48, 6))
    assert starts[:8] != starts[8:]


def test_nothing_of_nothing() -> None:
    for lengths, whole in product(([], [[]]), (True, False)):
        found = full_length(*documents(lengths), room=8, seed=0, num_separators=1, at_the_end=True, whole=whole)
        assert (found.document.tolist(), found.offsets.tolist()) == ([], [0])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 30), max_size=8), max_size=8),
    st.integers(4, 20),
    st.integers(0, 1),
    st.booleans(),
)
def test_filled_instances_are_full(lengths: list[list[int]], room: int, num_separators: int, at_the_end: bool) -> None:
    offsets, taken = documents(lengths)
    found = full_length(
        offsets, taken, room=room, seed=1, num_separators=num_separators, at_the_end=at_the_end, whole=False
    )
    total = int(offsets[-1])
    tokens = [[token for one in instance for token in range(*one)] for instance in ranges(found)]
    assert sorted(token for one in tokens for token in one if token < total) == list(range(total))
    edges = 2 * num_separators
    assert all(room - edges <= len(one) <= room for one in tokens[:-1])
    assert all(one and one[0] != total for one in tokens)
    assert at_the_end or all(one[-1] != total for one in tokens)
    inner = sum(one.count(total) for one in tokens)
    assert inner <= num_separators * sum(bool(one) for one in lengths)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 30), max_size=8), max_size=8),
    st.integers(4, 20),
    st.integers(0, 1),
    st.booleans(),
)
def test_every_token_once_in_as_few_as_fit(
    lengths: list[list[int]], room: int, num_separators: int, at_the_end: bool
) -> None:
    offsets, taken = documents(lengths)
    found = full_length(offsets, taken, room=room, seed=1, num_separators=num_separators, at_the_end=at_the_end)
    total = int(offsets[-1])
    tokens = [[token for one in instance for token in range(*one)] for instance in ranges(found)]
    assert all(0 < len(one) <= room for one in tokens)
    assert sorted(token for one in tokens for token in one if token < total) == list(range(total))
    starts = offsets[:-1].tolist()
    for one, after in pairwise(tokens):
        begin = after[0]
        if begin in starts:  # a sentence, or the first piece of a long one, would not have fitted
            piece = min(room, int(offsets[starts.index(begin) + 1]) - begin)
            assert len(one) + num_separators + piece > room
