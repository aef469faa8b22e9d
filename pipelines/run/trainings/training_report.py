"""The report of a run of a training: what came of it, what it cost. Shown at the end, kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pipelines.run.display import compact, duration, size
from pipelines.run.grid import grid
from pipelines.run.report import installed_versions
from pipelines.run.tables import listing
from pipelines.run.trainings.crew import Crew
from pipelines.run.trainings.delivered import tables
from pipelines.run.trainings.training_books import TrainingBooks
from pipelines.run.trainings.training_ground import TrainingGround
from pipelines.run.trainings.training_progress import describe_evaluation


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """One run of a training. Rows are those of ``pipelines.train.events``."""

    run: str
    job: str
    output: str
    started: str
    """UTC, ISO 8601."""
    exit_code: int
    architecture: str
    objective: str
    fingerprint: str
    instances: int
    """Instances of an epoch."""
    held_out: int
    """Held-out instances there are."""
    first_step: int
    """Where this run began."""
    step: int
    """Where it ended."""
    outcome: str
    """"done", "stopped", or "" where it did not come to an end."""
    row: dict[str, Any]
    """The last point of the curves; of it are tokens and seconds of the whole training."""
    evaluation: dict[str, Any]
    """The last evaluation; {}: none in this run."""
    best: dict[str, Any]
    """The best one of this run."""
    delivered: dict[str, Any]
    """What the workers told of the model that they delivered (``pipelines.run.trainings.delivered``)."""
    workers: list[int]
    """How many there were, each time that they were started."""
    restarts: list[dict[str, Any]]
    warnings: list[str]
    checkpoint_bytes: int
    """Of the last checkpoint."""
    checkpoint_seconds: float
    """All checkpoints of this run."""
    facts: dict[str, Any]
    """What the workers say of themselves, such as precision, path and device."""
    crew: dict[str, Any] | None
    """None: nothing had to be done, and no worker was started."""
    phase_seconds: dict[str, float]
    versions: dict[str, str]

    @property
    def seconds(self) -> float:
        """Wall time of the run."""
        return sum(self.phase_seconds.values())

    def to_json(self) -> str:
        """All fields as indented JSON."""
        return json.dumps(asdict(self) | {"seconds": self.seconds}, indent=2)

    def render(self) -> RenderableType:
        """The report as compact text of rich; Console.print shows it, in a log too."""
        parts: list[RenderableType] = [Text(headline(self), style="bold"), Text(f"output {self.output}")]
        if self.crew:
            parts += [Text(), grid(counts(self))]
        if self.delivered.get("metrics"):
            parts += [Text(), *tables(self.delivered)]
        elif self.evaluation:
            parts += [Text(), Text(describe_evaluation(self.evaluation))]
        if self.restarts:
            told = {f"{n}. at step {one['step']:,}": one["reason"] for n, one in enumerate(self.restarts, 1)}
            parts += [Text(), listing("workers started again", told)]
        if self.warnings:
            parts += [Text(), *map(Text, self.warnings)]
        return Group(*parts)


def headline(report: TrainingReport) -> str:
    """What came of it, in one line."""
    if report.crew is None:
        return f"{report.job}: nothing to do, the training came to its end at step {report.step:,}"
    steps = report.step - report.first_step
    done = f"{steps:,} steps" if not report.first_step else f"{steps:,} steps from {report.first_step:,} on"
    return f"{report.job} {report.run}: {done} in {duration(report.seconds)}"


def counts(report: TrainingReport) -> dict[str, str]:
    """Names and numbers."""
    row = report.row
    told = {
        "architecture": report.architecture,
        "objective": report.objective,
        "workers": " -> ".join(map(str, report.workers)) or "0",
        "instances": f"{report.instances:,}",
        "held out": f"{report.held_out:,}",
        "checkpoint": size(report.checkpoint_bytes),
    }
    if row:
        told |= {
            "tokens": f"{int(row['tokens']):,}",
            "epochs": f"{row['position'] / report.instances:.2f}",
            "tokens/s": compact(row["tokens_per_second"]),
            "data wait": f"{100 * row['data_wait']:.1f} %",
        }
        told |= {name.replace("_", " "): f"{value:.3f}" for name, value in row.items() if name.startswith("loss_")}
    return told


def make_training_report(
    ground: TrainingGround,
    books: TrainingBooks,
    *,
    run: str,
    started: float,
    exit_code: int,
    phase_seconds: Mapping[str, float],
    crew: Crew | None,
) -> TrainingReport:
    """The report from what the books say. ``started`` in seconds since 1970."""
    about = ground.about
    return TrainingReport(
        run=run,
        job=about.job,
        output=ground.output.uri,
        started=datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        exit_code=exit_code,
        architecture=about.begins_with,
        objective=about.objective,
        fingerprint=ground.agreed.fingerprint,
        instances=about.num_instances,
        held_out=about.num_held_out,
        first_step=books.first_step,
        step=books.step,
        outcome=books.outcome,
        row=books.row,
        evaluation=books.evaluation,
        best=books.best,
        delivered=books.delivered,
        workers=books.workers,
        restarts=[asdict(restart) for restart in books.restarts],
        warnings=books.warnings,
        checkpoint_bytes=books.checkpoint_bytes,
        checkpoint_seconds=books.checkpoint_seconds,
        facts=books.facts,
        crew=asdict(crew) if crew else None,
        phase_seconds=dict(phase_seconds),
        versions=installed_versions(),
    )
