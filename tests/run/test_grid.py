from __future__ import annotations

import io

from rich.console import Console

from pipelines.run.grid import grid


def test_three_pairs_stand_in_a_line() -> None:
    stream = io.StringIO()
    Console(file=stream, width=80).print(grid({"one": "1", "two": "22", "three": "333", "four": "4"}))
    assert [line.split() for line in stream.getvalue().splitlines()] == [
        ["one", "1", "two", "22", "three", "333"],
        ["four", "4"],
    ]
