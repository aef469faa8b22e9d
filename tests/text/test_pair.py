from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.pair import longest_first, second_windowed


@pytest.mark.parametrize(
    ("first", "second", "room", "kept"),
    [
        (3, 4, 7, (3, 4)),
        (3, 9, 7, (3, 4)),
        (9, 3, 7, (4, 3)),
        (9, 8, 7, (4, 3)),
        (8, 9, 7, (3, 4)),
        (9, 9, 7, (3, 4)),
        (0, 9, 7, (0, 7)),
        (9, 0, 7, (7, 0)),
    ],
)
def test_the_longer_text_is_cut_first(first: int, second: int, room: int, kept: tuple[int, int]) -> None:
    assert longest_first(first, second, room) == kept


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 50))
def test_it_is_as_if_one_token_after_another_were_taken(first: int, second: int, room: int) -> None:
    one, two = first, second
    while one + two > room:
        one, two = (one - 1, two) if one > two else (one, two - 1)
    kept = longest_first(first, second, room)
    assert sum(kept) == one + two
    assert all(abs(a - b) <= 1 for a, b in zip(kept, (one, two), strict=True))


@pytest.mark.parametrize(
    ("first", "room", "stride", "kept"), [(3, 9, 2, 3), (6, 9, 2, 6), (7, 9, 2, 4), (40, 9, 2, 4), (2, 9, 2, 2)]
)
def test_a_first_text_leaves_room_for_a_window(first: int, room: int, stride: int, kept: int) -> None:
    assert second_windowed(first, room, stride) == kept
