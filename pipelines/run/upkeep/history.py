"""The runs of an output: what each did, how fast, and what is there now."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
        )

    @property
    def began(self) -> str:
        """When, in UTC to the minute: a run's name begins with it."""
        stamp = self.run
        return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]} {stamp[9:11]}:{stamp[11:13]}"


def read_history(output: Location) -> list[PastRun]:
    """The runs of an output in order of time. SpecError where there are none."""
    keys = sorted(entry.key for entry in output.list(RUNS) if entry.key.endswith(".json"))
    if not keys:
        raise SpecError(f"{output} holds no runs: name the --output of a job that has ended")
    with ThreadPoolExecutor(READERS, "runs") as pool:
        return list(pool.map(lambda key: PastRun.of(json.loads(output.read(key))), keys))


def show_history(output: Location, runs: Sequence[PastRun]) -> RenderableType:
    """A line a run, with a bar of its speed, and what the manifest has now."""
    parts: list[RenderableType] = [Text(f"{len(runs):,} runs of {output}", style="bold"), table(runs)]
    live = read_manifest(output).live_parts()
    if live.num_rows:
        rows, dead = (pc.sum(live[name]).as_py() for name in ("num_rows", "num_dead_letters"))
        parts.append(Text(f"there now: {rows:,} rows in {live.num_rows:,} parts, {dead:,} dead letters"))
    return Group(*parts)


def table(runs: Sequence[PastRun]) -> Table:
    """A line a run: when, what, rows, dead letters, time, and tokens a second with a bar beside."""
    shown = Table(box=None, header_style="dim", padding=(0, 1), pad_edge=False)
    for name in ("began (UTC)", "job"):
        shown.add_column(name, no_wrap=True)
    for name in ("exit", "rows", "dead", "time", "tokens/s"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("", width=BAR_WIDTH)
    fastest = max((run.tokens_per_second or 0.0 for run in runs), default=0.0)
    for run in runs:
        speed = run.tokens_per_second or 0.0
        shown.add_row(
            run.began,
            run.job,
            str(run.exit_code),
            "" if run.rows is None else f"{run.rows:,}",
            "" if run.dead_letters is None else f"{run.dead_letters:,}",
            duration(run.seconds),
            compact(speed) if speed else "",
            Bar(1, 0, speed / fastest, width=BAR_WIDTH, color="cyan") if speed else "",
        )
    return shown
