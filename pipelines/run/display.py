"""Where a run speaks: a live display in a terminal, lines of a log, JSON lines, or nowhere.

Everything goes to stderr; stdout is for results.
"""

from __future__ import annotations

import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Literal, Self, TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

Mode = Literal["auto", "live", "log", "json", "none"]


class Display(AbstractContextManager["Display"], ABC):
    """The display of one run. A context manager: whatever ends the block leaves the terminal clean.

    ``mode`` auto is live in a terminal, and log elsewhere; ``clock`` gives seconds.
    """

    def __init__(self, mode: Mode, stream: TextIO | None, clock: Callable[[], float]) -> None:
        self._stream = stream or sys.stderr
        self._mode = mode if mode != "auto" else "live" if _is_terminal(self._stream) else "log"
        self._clock = clock
        self._began = clock()
        self._live: Live | None = None

    @abstractmethod
    def picture(self) -> RenderableType:
        """What the live display shows now."""

    @abstractmethod
    def phase(self, name: str) -> None:
        """A new phase begins, such as "encode" or "commit"; the first is "start"."""

    def __enter__(self) -> Self:
        if self._mode == "live":
            console = Console(file=self._stream)
            show = partial(Live, console=console, refresh_per_second=4, transient=True, redirect_stdout=False)
            self._live = show(get_renderable=self.picture)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Away with the live display, before the results are shown. Once is enough."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, line: str) -> None:
        """One line that stays, above the live display or in the log."""
        if self._live is not None:
            self._live.console.print(Text(line))
        elif self._mode == "json":
            self._put(json.dumps({"seconds": round(self._clock() - self._began, 1), "say": line}))
        elif self._mode == "log":
            self._put(line)

    def _put(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def compact(number: float) -> str:
    """A number in at most five characters: 940, 9.1k, 310k, 2.3M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            scaled = number / limit
            return f"{scaled:.1f}{unit}" if scaled < 100 else f"{scaled:.0f}{unit}"
    return f"{number:.0f}"


def duration(seconds: float) -> str:
    """Seconds as 0:48, 12:05 or 3:07:09."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def seconds(number: float) -> str:
    """Seconds as 0.31 s, 4.2 s, 48 s or 12:05."""
    if number >= 100:
        return duration(number)
    return f"{number:.2f} s" if number < 1 else f"{number:.1f} s" if number < 10 else f"{number:.0f} s"


def size(number: float) -> str:
    """Bytes as 940 B, 12.2 MB or 1.3 GB, in powers of ten."""
    return (
        f"{number:.0f} B"
        if number < 1000
        else compact(number).replace("k", " k").replace("M", " M").replace("G", " G") + "B"
    )


def many(number: int, noun: str) -> str:
    """So many: 1 slice, 2,000 slices."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
