"""What came of a sweep: a line a setting, its metrics as mean and standard deviation over seeds, and the best model.

Settings are compared within a task: where several columns of labels were listed, each has its lines and its best model.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.run.display import duration
from pipelines.run.finetune.sweep import folder_of
from pipelines.run.report import installed_versions
from pipelines.train.scores.names import merit

KEY = "sweep.json"
MODELS = "models"
"""Folder of the best models where there are several tasks, each under its label's name."""
MOST_METRICS = 4
CHOSEN = "it was chosen by the examples that it is measured on: on others it may do less well"
"""What is said of the best of several."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One fine-tuning of a sweep: what its model came to, or why there is none."""

    name: str
    output: str
    setting: Mapping[str, Any]
    seed: int
    label: str = ""
    """Which of the tasks it is of; "" where there is one."""
    metric: str = ""
    """By which models are compared."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    failure: str = ""

    @property
    def merit(self) -> float:
        """Greater is better."""
        return merit(self.metric, self.metrics)


@dataclass(frozen=True, kw_only=True)
class SettingResult:
    """The runs of one setting, which differ in their seeds alone."""

    setting: Mapping[str, Any]
    results: tuple[Result, ...]

    @property
    def done(self) -> list[Result]:
        """Those that came to their end."""
        return [result for result in self.results if not result.failure]

    @property
    def metrics(self) -> dict[str, tuple[float, float]]:
        """Mean and sample standard deviation (NaN of one) of what all runs that came to their end have."""
        named = [result.metrics for result in self.done]
        names = [name for name in named[0] if all(name in one for one in named)] if named else []
        return {name: spread([one[name] for one in named]) for name in names}

    @property
    def merit(self) -> float:
        """Of the mean; minus infinity where no run came to its end."""
        means = {name: mean for name, (mean, _) in self.metrics.items()}
        return merit(self.done[0].metric, means) if self.done else -math.inf


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """The runs of one task."""

    label: str
    results: tuple[Result, ...]

    @property
    def settings(self) -> list[SettingResult]:
        """The settings, the best by the mean of its metric first."""
        groups: dict[str, list[Result]] = {}
        for result in self.results:
            groups.setdefault(json.dumps(dict(result.setting), sort_keys=True), []).append(result)
        found = [SettingResult(setting=some[0].setting, results=tuple(some)) for some in groups.values()]
        return sorted(found, key=lambda one: -one.merit)

    @property
    def best(self) -> Result | None:
        """The run with the best model: of the best setting the best seed."""
        done = self.settings[0].done if self.results else []
        return max(done, key=lambda result: result.merit, default=None)

    @property
    def folder(self) -> str:
        """Where in the sweep's output its best model is put; "": at the root."""
        return f"{MODELS}/{folder_of(self.label)}" if self.label else ""

    def facts(self) -> dict[str, Any]:
        """Settings, runs and the best, for JSON."""
        best = self.best
        return {
            "metric": best.metric if best else "",
            "best": best.name if best else "",
            "best_output": best.output if best else "",
            "settings": [_facts(one) for one in self.settings],
        }

    def render(self, output: str) -> list[RenderableType]:
        """Its table and the best model, whose place is in ``output``."""
        parts: list[RenderableType] = [Text()]
        parts += [Text(self.label, style="bold")] if self.label else []
        parts.append(table(self.settings))
        if best := self.best:
            value = best.metrics.get(best.metric, math.nan)
            place = f", put into {output.rstrip('/')}/{self.folder}" if self.label else ""
            parts += [Text(), Text(f"best model {best.output} ({best.metric} {value:.4f}){place}")]
        return parts


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """All runs of a sweep."""

    output: str
    results: tuple[Result, ...]
    seconds: float = 0.0
    examples_exit_code: int = 0
    """Of the runs that made the examples: too many dead letters, or shards set aside."""

    @property
    def tasks(self) -> list[TaskResult]:
        """The results by task, in the order that they were listed in."""
        groups: dict[str, list[Result]] = {}
        for result in self.results:
            groups.setdefault(result.label, []).append(result)
        return [TaskResult(label=label, results=tuple(some)) for label, some in groups.items()]

    @property
    def exit_code(self) -> int:
        """1 where a run failed, else that of the examples."""
        return 1 if any(result.failure for result in self.results) else self.examples_exit_code

    def to_json(self) -> str:
        """Settings, runs and the best, as indented JSON; by label where several are listed."""
        facts = {task.label: task.facts() for task in self.tasks}
        told = facts.get("", {"tasks": facts})
        return json.dumps(told | {"versions": installed_versions()}, indent=2)

    def render(self) -> RenderableType:
        """The table, or one a task, as text of rich."""
        done = sum(not result.failure for result in self.results)
        line = f"finetune: {done} of {len(self.results)} runs done in {duration(self.seconds)}"
        parts: list[RenderableType] = [Text(line, style="bold"), Text(f"output {self.output}")]
        tasks = self.tasks
        parts += [part for task in tasks for part in task.render(self.output)]
        if any(task.best and len(task.results) > 1 for task in tasks):
            parts.append(Text(CHOSEN))
        parts += [Text(f"{result.name} failed: {result.failure}") for result in self.results if result.failure]
        return Group(*parts)


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and sample standard deviation; NaN of one value alone."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan


def table(settings: Sequence[SettingResult]) -> Table:
    """A line a setting."""
    names = list(dict.fromkeys(name for one in settings for name in one.setting))
    done = next((one for one in settings if one.done), None)
    metric = done.done[0].metric if done else ""
    others = [name for name in done.metrics if name != metric] if done else []
    shown = [metric, *others][:MOST_METRICS] if done else []
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in (*names, "seeds", *shown):
        made.add_column(name.replace("_", " "), justify="left" if name == "model" else "right", overflow="fold")
    for one in settings:
        metrics = one.metrics
        cells = (in_words(metrics[name]) if name in metrics else "-" for name in shown)
        made.add_row(*(_value(one.setting[name]) for name in names), str(len(one.done)), *cells)
    return made


def in_words(found: tuple[float, float]) -> str:
    """Mean ± deviation, or the value of one run."""
    mean, deviation = found
    return f"{mean:.4f}" if math.isnan(deviation) else f"{mean:.4f} ± {deviation:.4f}"


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _facts(one: SettingResult) -> dict[str, Any]:
    return {
        "setting": dict(one.setting),
        "metrics": {
            name: {"mean": mean, "deviation": None if math.isnan(deviation) else deviation}
            for name, (mean, deviation) in one.metrics.items()
        },
        "runs": [
            {"name": result.name, "seed": result.seed, "metrics": dict(result.metrics), "step": result.step}
            | ({"failure": result.failure} if result.failure else {})
            for result in one.results
        ],
    }
