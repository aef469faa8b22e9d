"""What a run says while it runs: one live display in a terminal, a line a minute in a log, JSON on request.

Everything here goes to stderr; stdout is for results. The same facts are shown in each form:

    encode  12,288 of 23,880 documents (51 %), 24 of 47 slices, 9.1k tokens/s, 2 dead letters, 0:48 left
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TextIO

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipelines.run.display import Display, Mode, compact, duration

WINDOW_SECONDS = 60.0  # over which the rate is taken, so that it follows what happens
FIRST_LINE_SECONDS = 5.0
LOG_SECONDS, JSON_SECONDS = 60.0, 2.0
"""Between two lines: people read the ones, programs the others, such as a notebook that draws them."""


@dataclass(frozen=True, kw_only=True)
class State:
    """What is known at a moment."""

    phase: str = "start"
    seconds: float = 0.0
    """Since the run began."""
    documents: int = 0
    total_documents: int | None = None
    slices: int = 0
    total_slices: int | None = None
    unit: str = "slices"
    """What a slice is called."""
    tokens: int = 0
    tokens_per_second: float = 0.0
    dead_letters: int = 0
    seconds_left: float | None = None
    waiting: str = ""
    """What nothing goes on without, "" where it goes on."""


class Progress(Display):
    """The display of a run over a corpus. ``interval`` is the least number of seconds between two lines of a log, the
    first of which comes after 5; None: 60, or 2 of JSON, which tells a new phase at once, too.
    """

    def __init__(
        self,
        *,
        total_documents: int | None = None,
        total_slices: int | None = None,
        unit: str = "slices",
        mode: Mode = "auto",
        interval: float | None = None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(mode, stream, clock)
        self._interval = interval or (JSON_SECONDS if self._mode == "json" else LOG_SECONDS)
        self._unit = unit
        self._next_line = self._began + min(FIRST_LINE_SECONDS, self._interval)
        self._phase, self._waiting, self._waiting_since = "start", "", self._began
        self._totals = (total_documents, total_slices)
        self._done = dict.fromkeys(("documents", "tokens", "slices", "dead_letters"), 0)
        self._marks: deque[tuple[float, int, int]] = deque([(self._began, 0, 0)])
        self._ended = False

    def picture(self) -> Table:
        """See ``Display``."""
        return draw(self.state)

    def end(self) -> None:
        """Away with the live display, or the last line of a log, before the results are shown. Once is enough."""
        super().end()
        if self._mode in ("log", "json") and self._done["slices"] and not self._ended:
            self._write(last=True)
        self._ended = True

    def expect(self, *, documents: int, slices: int | None = None) -> None:
        """The run's totals, once they are known; of slices how many there are at least."""
        self._totals = (documents, slices)

    def phase(self, name: str) -> None:
        """A new phase begins, such as "encode" or "commit"; the first is "start". It ends what was waited for."""
        self._phase, self._waiting = name, ""
        self._marks = deque([(self._clock(), self._done["documents"], self._done["tokens"])])
        if self._mode == "json":
            self._next_line = self._clock()
        self._tick()

    def update(self, *, documents: int = 0, tokens: int = 0, slices: int = 0, dead_letters: int = 0) -> None:
        """So much more is done. It ends what was waited for."""
        more = {"documents": documents, "tokens": tokens, "slices": slices, "dead_letters": dead_letters}
        self._done = {name: count + more[name] for name, count in self._done.items()}
        now = self._clock()
        if slices or documents:
            self._waiting = ""
        self._marks.append((now, self._done["documents"], self._done["tokens"]))
        while len(self._marks) > 2 and self._marks[1][0] < now - WINDOW_SECONDS:
            self._marks.popleft()
        self._tick()

    def waiting(self, text: str) -> None:
        """Nothing goes on without ``text``, such as "a node with 1 GPU": told at once, then with for how long."""
        if text != self._waiting:
            self._waiting, self._waiting_since = text, self._clock()
            self._next_line = self._clock()
        self._tick()

    @property
    def state(self) -> State:
        """The facts, now."""
        now = self._clock()
        then, documents, tokens = self._marks[0]
        spent = max(now - then, 1e-9)
        rate = (self._done["documents"] - documents) / spent
        total, slices = self._totals
        left = None if total is None or not rate else max(total - self._done["documents"], 0) / rate
        waiting = f"{self._waiting}, {duration(now - self._waiting_since)}" if self._waiting else ""
        return State(
            phase=self._phase,
            unit=self._unit,
            seconds=now - self._began,
            total_documents=total,
            total_slices=None if slices is None else max(slices, self._done["slices"]),
            tokens_per_second=(self._done["tokens"] - tokens) / spent,
            seconds_left=left,
            waiting=waiting,
            **self._done,
        )

    def _tick(self) -> None:
        if self._mode in ("log", "json") and self._clock() >= self._next_line:
            self._write()

    def _write(self, last: bool = False) -> None:
        self._next_line = self._clock() + self._interval
        state = self.state
        self._put(json.dumps(asdict(state) | {"last": last}) if self._mode == "json" else describe(state))


def describe(state: State) -> str:
    """The state as one line."""
    if state.waiting:
        return f"{state.phase}  waiting for {state.waiting}"
    return "  ".join(filter(None, (state.phase, ", ".join(_facts(state)))))


def _facts(state: State) -> list[str]:
    """What there is to tell: nothing before there are documents, and no rate where nothing moves, as in a commit."""
    if not state.documents and state.total_documents is None:
        return []
    facts = [f"{_of(state.documents, state.total_documents)} documents"]
    if state.total_documents:
        facts[0] += f" ({100 * state.documents // state.total_documents} %)"
    facts.append(f"{_of(state.slices, state.total_slices)} {state.unit}")
    facts += [f"{compact(state.tokens_per_second)} tokens/s"] if state.tokens_per_second else []
    facts.append(f"{state.dead_letters:,} dead letter{'' if state.dead_letters == 1 else 's'}")
    if state.seconds_left is not None:
        facts.append(f"{duration(state.seconds_left)} left")
    return facts


def draw(state: State) -> Table:
    """The state as the live display: a bar and the same facts."""
    grid = Table.grid(padding=(0, 1))
    if state.waiting:
        grid.add_row(Text(state.phase, style="bold"), Text(f"waiting for {state.waiting}", style="yellow"))
        return grid
    total = float(state.total_documents) if state.total_documents else None
    bar = ProgressBar(total=total, completed=state.documents, width=24, pulse=total is None)
    grid.add_row(Text(state.phase, style="bold"), bar, Text(", ".join(_facts(state)), overflow="fold"))
    return grid


def _of(done: int, total: int | None) -> str:
    return f"{done:,}" if total is None else f"{done:,} of {total:,}"
