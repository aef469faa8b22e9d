"""What a training says while it runs: a line for each row of its log, the newest of them in a live display.

train  step 1,200 of 100,000 (1 %), mlm 4.213, nsp 0.352, 2 x 9.1k tokens/s, data wait 1 %, 3:07:09 left
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipelines.run.display import Display, Mode, compact, duration

Row = Mapping[str, float]
MOST_METRICS = 3
"""So many are told in a line."""
SENTENCES = ("nsp", "sop")
"""Losses of two classes, whose perplexity tells nothing."""
"""A point of the curves: ``pipelines.train.events.Stepped.row``, and "mfu" where it is known."""


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """What is known at a moment. ``row`` is the newest of the log, {} before there is one."""

    phase: str
    row: Row
    max_steps: int
    """0: its length is given in tokens or in time."""
    waiting: str

    @property
    def share(self) -> float:
        """Of the training that is done, from 0 to 1."""
        return self.row.get("progress", 0.0)


class TrainingProgress(Display):
    """The display of a training."""

    def __init__(
        self, mode: Mode = "auto", stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(mode, stream, clock)
        self._phase, self._waiting, self._waiting_since = "start", "", self._began
        self._row: Row = {}
        self._max_steps = 0

    def expect(self, max_steps: int) -> None:
        """The length of the training, 0 where it is not given in steps."""
        self._max_steps = max_steps

    def phase(self, name: str) -> None:
        """See ``Display``. It ends what was waited for."""
        self._phase, self._waiting = name, ""

    def step(self, row: Row) -> None:
        """A row of the log: a line of its own. It ends what was waited for."""
        self._row, self._waiting = row, ""
        if self._mode == "json":
            self._put(json.dumps({"seconds": round(self._clock() - self._began, 1), **row}))
        elif self._mode == "log":
            self._put(describe(self.state))

    def evaluated(self, event: Mapping[str, Any]) -> None:
        """An evaluation: a line that stays; in JSON with its numbers."""
        if self._mode != "json":
            return self.say(describe_evaluation(event))
        numbers = {name: value for name, value in event.items() if isinstance(value, int | float)}
        told = {"say": describe_evaluation(event), "evaluation": numbers}
        self._put(json.dumps({"seconds": round(self._clock() - self._began, 1), **told}))

    def waiting(self, text: str) -> None:
        """Nothing goes on without ``text``, such as "a node with 1 GPU": a line when it is first told."""
        if text != self._waiting:
            self._waiting, self._waiting_since = text, self._clock()
            if self._live is None:
                self.say(f"{self._phase}  waiting for {text}")

    @property
    def state(self) -> TrainingState:
        """The facts, now."""
        waited = duration(self._clock() - self._waiting_since)
        return TrainingState(
            phase=self._phase,
            row=self._row,
            max_steps=self._max_steps,
            waiting=f"{self._waiting}, {waited}" if self._waiting else "",
        )

    def picture(self) -> Table:
        """See ``Display``."""
        return draw(self.state)


def describe(state: TrainingState) -> str:
    """The state as one line."""
    if state.waiting:
        return f"{state.phase}  waiting for {state.waiting}"
    return "  ".join(filter(None, (state.phase, ", ".join(_facts(state)))))


def draw(state: TrainingState) -> Table:
    """The state as the live display: a bar and the same facts."""
    grid = Table.grid(padding=(0, 1))
    if state.waiting:
        grid.add_row(Text(state.phase, style="bold"), Text(f"waiting for {state.waiting}", style="yellow"))
        return grid
    bar = ProgressBar(total=1.0, completed=state.share, width=24, pulse=not state.row)
    grid.add_row(Text(state.phase, style="bold"), bar, Text(", ".join(_facts(state)), overflow="fold"))
    return grid


def _facts(state: TrainingState) -> list[str]:
    row = state.row
    if not row:
        return []
    workers = int(row.get("workers", 1))
    facts = [_step(state), *losses(row)]
    if "tokens_per_second" in row:
        speed = compact(row["tokens_per_second"] / workers)
        facts.append(f"{workers} x {speed} tokens/s" if workers > 1 else f"{speed} tokens/s")
    if "data_wait" in row:
        facts.append(f"data wait {100 * row['data_wait']:.0f} %")
    if "mfu" in row:
        facts.append(f"MFU {100 * row['mfu']:.0f} %")
    if "seconds_left" in row:
        facts.append(f"{duration(row['seconds_left'])} left")
    return facts


def _step(state: TrainingState) -> str:
    most = f" of {state.max_steps:,}" if state.max_steps else ""
    return f"step {int(state.row['step']):,}{most} ({100 * state.share:.0f} %)"


def losses(row: Row) -> list[str]:
    """The losses of a row, in nats, each after its name."""
    found = {name.removeprefix("loss_"): value for name, value in row.items() if name.startswith("loss_")}
    return [f"{name} {value:.3f}" for name, value in found.items()]


def describe_evaluation(row: Row) -> str:
    """An evaluation as one line."""
    facts = [f"{name} {value:.3f}" for name, value in list(metrics(row).items())[:MOST_METRICS]]
    for loss in losses(row):
        name = loss.split()[0]
        is_told = f"perplexity_{name}" in row and name not in SENTENCES
        more = [f"{row[f'perplexity_{name}']:.1f} perplexity"] if is_told else []
        more += [f"{100 * row[f'accuracy_{name}']:.1f} % right"] if f"accuracy_{name}" in row else []
        facts.append(f"{loss} ({', '.join(more)})" if more else loss)
    return f"{'evaluated' if metrics(row) else 'held out'} at step {int(row['step']):,}: {', '.join(facts)}"


def metrics(row: Row) -> dict[str, float]:
    """The metrics of an evaluation by name, the first before all; {} of one by losses alone."""
    return {name.removeprefix("metric_"): value for name, value in row.items() if name.startswith("metric_")}
