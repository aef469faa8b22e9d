"""The modes are tested with ``Progress``, which shows in all of them; here is what every display shares."""

from __future__ import annotations

import io
import json

import pytest
from rich.text import Text

from pipelines.run.display import Display, Mode, compact, duration, many, seconds, size


class Plain(Display):
    """A display that shows one word."""

    def picture(self) -> Text:
        return Text("word")

    def phase(self, name: str) -> None:
        self.say(name)


@pytest.mark.parametrize(
    ("mode", "shown"), [("log", "a line\n"), ("auto", "a line\n"), ("none", ""), ("json", '{"seconds": 2.5, "say": ')]
)
def test_a_line_is_shown_as_the_mode_has_it(mode: Mode, shown: str) -> None:
    stream, now = io.StringIO(), iter([0.0, 2.5])
    with Plain(mode, stream, lambda: next(now, 9.0)) as display:
        display.say("a line")
    assert stream.getvalue().startswith(shown)
    assert mode != "json" or json.loads(stream.getvalue())["say"] == "a line"
    assert mode != "none" or stream.getvalue() == ""


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (940, "940"), (9_130, "9.1k"), (310_000, "310k"), (2_349_999, "2.3M")]
)
def test_compact(number: float, text: str) -> None:
    assert compact(number) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (47.6, "0:48"), (725, "12:05"), (11_229, "3:07:09")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("number", "text"), [(0.314, "0.31 s"), (4.25, "4.2 s"), (48.4, "48 s"), (725, "12:05")])
def test_seconds(number: float, text: str) -> None:
    assert seconds(number) == text


@pytest.mark.parametrize(
    ("number", "text"), [(940, "940 B"), (12_200_000, "12.2 MB"), (1.25e9, "1.2 GB"), (4096, "4.1 kB")]
)
def test_size(number: float, text: str) -> None:
    assert size(number) == text


def test_one_is_no_plural() -> None:
    assert [many(number, "slice") for number in (0, 1, 2000)] == ["0 slices", "1 slice", "2,000 slices"]
