"""The runs of an output: what each did, how fast, and what is there now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc
from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.errors import SpecError
from pipelines.run.display import compact, duration
from pipelines.store.location import Location
from pipelines.store.manifest import read_manifest

RUNS = "_manta/runs/"
READERS = 16
BAR_WIDTH = 12
METRIC = "metric_"
"""What precedes the name of a metric in a row of an evaluation (``pipelines.train.events``)."""


@dataclass(frozen=True, kw_only=True)
class PastRun:
    """A run as its report tells it. Jobs tell different things: None where one does not."""

    run: str
    job: str
    exit_code: int
    seconds: float
    rows: int | None
    """Rows written; removed ones are negative."""
    tokens_per_second: float | None
    dead_letters: int | None
    step: int | None = None
    """Of a training: where the run ended."""
    best: str = ""
    """Of a training: its best evaluation in this run, by the metric that it is measured by, or else by the loss."""

    @classmethod
    def of(cls, told: dict[str, Any]) -> PastRun:
        """From a report of any job."""
        letters, last_point = told.get("dead_letters"), told.get("row") or {}
        return cls(
            run=told["run"],
            job=told["job"],
            exit_code=told["exit_code"],
            seconds=told["seconds"],
            rows=told.get("rows"),
            tokens_per_second=told.get("tokens_per_second", last_point.get("tokens_per_second")),
            dead_letters=None if letters is None else sum(letters.values()),
            step=told.get("step"),
            best=_best(told.get("best") or {}),
        )

    @property
    def began(self) -> str:
        """When, in UTC to the minute: a run's name begins with it."""
        stamp = self.run
        return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]} {stamp[9:11]}:{stamp[11:13]}"


def _best(row: Mapping[str, float]) -> str:
    """What an evaluation came to, in a word and a number; a row names its metrics in order, the first before all."""
    metrics = ((name.removeprefix(METRIC), value) for name, value in row.items() if name.startswith(METRIC))
    found = next(metrics, ("loss", row["loss"]) if "loss" in row else None)
    return f"{found[0]} {found[1]:.3f}" if found else ""


def read_history(output: Location) -> list[PastRun]:
    """The runs of an output in order of time. SpecError where there are none."""
    keys = sorted(entry.key for entry in output.list(RUNS) if entry.key.endswith(".json"))
    if not keys:
        raise SpecError(f"{output} holds no runs: name the --output of a job that has ended")
    with ThreadPoolExecutor(READERS, "runs") as pool:
        return list(pool.map(lambda key: PastRun.of(json.loads(output.read(key))), keys))


def show_history(output: Location, runs: Sequence[PastRun]) -> RenderableType:
    """A line a run, with a bar of its speed, and what the manifest has now; a training has none."""
    parts: list[RenderableType] = [Text(f"{len(runs):,} runs of {output}", style="bold"), table(runs)]
    live = read_manifest(output).live_parts()
    if live.num_rows:
        rows, dead = (pc.sum(live[name]).as_py() for name in ("num_rows", "num_dead_letters"))
        parts.append(Text(f"there now: {rows:,} rows in {live.num_rows:,} parts, {dead:,} dead letters"))
    return Group(*parts)


def table(runs: Sequence[PastRun]) -> Table:
    """A line a run: when, what, what came of it, time, and tokens a second with a bar beside.

    What came of a run over documents is rows and dead letters, of a training its last step and its best evaluation,
    which take the bar's room.
    """
    shown = Table(box=None, header_style="dim", padding=(0, 1), pad_edge=False)
    for name in ("began (UTC)", "job"):
        shown.add_column(name, no_wrap=True)
    outcomes = _outcomes(runs)
    for name in ("exit", *outcomes, "time", "tokens/s"):
        shown.add_column(name, justify="right", no_wrap=True)
    width = 0 if "step" in outcomes else BAR_WIDTH
    shown.add_column("", width=width)
    fastest = max((run.tokens_per_second or 0.0 for run in runs), default=0.0)
    for number, run in enumerate(runs):
        speed = run.tokens_per_second or 0.0
        shown.add_row(
            run.began,
            run.job,
            str(run.exit_code),
            *(values[number] for values in outcomes.values()),
            duration(run.seconds),
            compact(speed) if speed else "",
            Bar(1, 0, speed / fastest, width=width, color="cyan") if speed and width else "",
        )
    return shown


def _outcomes(runs: Sequence[PastRun]) -> dict[str, list[str]]:
    """What came of each run, by the title of a column; of columns those alone in which there is something."""
    columns = {
        "rows": [_number(run.rows) for run in runs],
        "dead": [_number(run.dead_letters) for run in runs],
        "step": [_number(run.step) for run in runs],
        "best": [run.best for run in runs],
    }
    return {title: values for title, values in columns.items() if any(values)}


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
