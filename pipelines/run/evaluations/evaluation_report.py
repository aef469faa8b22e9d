"""What came of an evaluation: shown as a table, kept as metrics.json and as pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.run.report import installed_versions
from pipelines.store.location import Location

KEY = "metrics.json"
MOST_CLASSES = 20
"""Of which a table shows metrics; metrics.json has all of them."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The metrics of one task on some data."""

    task: str
    """One of ``FinetuneSpec.task``, or "similarity" or "retrieval"."""
    metrics: dict[str, float]
    counts: dict[str, int]
    """What they are of, such as examples, or queries and documents."""
    by_class: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    """PNG by name of the file."""

    def facts(self) -> dict[str, Any]:
        """All but the pictures, as JSON."""
        told = {name: value for name, value in asdict(self).items() if name != "pictures" and value}
        return told | {"notes": list(self.notes)} if self.notes else told


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """The metrics of a model, of one or several evaluations."""

    model: str
    model_hash: str
    output: str
    evaluations: tuple[Evaluation, ...]
    exit_code: int = 0

    def to_json(self) -> str:
        """The same as indented JSON."""
        told = {
            "model": self.model,
            "model_hash": self.model_hash,
            "evaluations": [evaluation.facts() for evaluation in self.evaluations],
            "versions": installed_versions(),
        }
        return json.dumps(told, indent=2)

    def put(self, output: Location) -> None:
        """metrics.json and the pictures, into the output."""
        for evaluation in self.evaluations:
            for name, picture in evaluation.pictures.items():
                output.put(name, picture)
        output.put(KEY, self.to_json().encode())

    def render(self) -> RenderableType:
        """The report as text of rich."""
        parts: list[RenderableType] = [Text(f"evaluate {self.model}", style="bold"), Text(f"output {self.output}")]
        for evaluation in self.evaluations:
            parts += [Text(), *render(evaluation)]
        return Group(*parts)


def render(evaluation: Evaluation) -> list[RenderableType]:
    """A headline, the metrics, those by class, and the notes."""
    counts = ", ".join(f"{number:,} {name}" for name, number in evaluation.counts.items())
    parts: list[RenderableType] = [Text(f"{evaluation.task.replace('_', ' ')}: {counts}", style="bold")]
    parts.append(metrics_table(evaluation.metrics))
    if evaluation.by_class:
        parts += [Text(), class_table(evaluation.by_class)]
    return [*parts, *(Text(note) for note in evaluation.notes)]


def metrics_table(metrics: Mapping[str, float]) -> Table:
    """A line a metric; those at several k (recall@1, recall@10) are one line."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim")
    lines: dict[str, list[str]] = {}
    for name, value in metrics.items():
        kind, _, k = name.partition("@")
        lines.setdefault(kind, []).append(f"@{k} {value:.4f}" if k else f"{value:.4f}")
    for kind, values in lines.items():
        table.add_row(kind.replace("_", " "), "   ".join(values))
    return table


def class_table(by_class: Mapping[str, Mapping[str, float]]) -> Table:
    """A line a class, those with the most examples first; the rest are counted."""
    shown = sorted(by_class, key=lambda name: -by_class[name].get("support", 0))
    columns = list(dict.fromkeys(metric for values in by_class.values() for metric in values if metric != "support"))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", overflow="fold")
    for name in (*columns, "support"):
        table.add_column(name.replace("_", " "), justify="right")
    for name in shown[:MOST_CLASSES]:
        values = by_class[name]
        told = (f"{values[metric]:.4f}" if metric in values else "-" for metric in columns)
        table.add_row(Text(name), *told, f"{values.get('support', 0):,.0f}")
    if len(shown) > MOST_CLASSES:
        table.add_row(Text(f"and {len(shown) - MOST_CLASSES:,} more"))
    return table
