"""Two texts in one chunk: how much of each there is room for."""

from __future__ import annotations


def longest_first(num_first: int, num_second: int, room: int) -> tuple[int, int]:
    """Tokens that are kept of each of two texts, at most ``room`` together, where the longer one is cut first.

    As if one token after another were taken from the end of whichever is longer, the way the tokenizers library
    truncates pairs: what is left is halved where both are too long, an odd token goes to the longer text.
    """
    least, most = sorted((num_first, num_second))
    most = min(most, max(least, room - least)) if least <= room else least
    if least + most > room:
        least, most = room // 2, room - room // 2
    return (most, least) if num_first > num_second else (least, most)


def second_windowed(num_first: int, room: int, stride: int) -> int:
    """Tokens that are kept of a first text which stands before each window of a second: all of them if they leave room.

    A window must be longer than ``stride``; where the first text leaves less, it gets half the room.
    """
    return num_first if room - num_first > stride else min(num_first, room // 2)
