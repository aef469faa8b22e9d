"""The curves of a training as a picture: losses, accuracies, learning rate and speed over its steps."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, float]
NAMES = {
    "mlm": "masked tokens", "nsp": "next sentence", "sop": "sentence order", "clm": "next token", "span": "spans",
    "class": "classes", "classes": "classes", "value": "values", "tag": "tags", "answer": "answers", "match": "matches",
}  # fmt: skip
"""What losses are of, by their names."""
MOST_METRICS = 3
"""Metrics that are drawn, beside the share that was right."""
WIDE, DOTS_AN_INCH = 10.0, 130
LEGEND: dict[str, Any] = {"edgecolor": "none", "framealpha": 0.85}
SMOOTH = 50
"""A curve is shown as the mean of one part in so many of it, before the thin line of its own points."""


@dataclass(frozen=True)
class Curves:
    """Rows of the log and of the evaluations, each with its step; ``unigram_entropy`` in nats (0: not known)."""

    rows: Sequence[Row]
    evaluations: Sequence[Row] = ()
    unigram_entropy: float = 0.0
    title: str = ""
    notes: Mapping[int, str] = field(default_factory=dict)
    """What happened at a step, such as a restart."""

    def objectives(self) -> list[str]:
        """Names of the losses that the rows have."""
        found = {name.removeprefix("loss_") for row in self.rows for name in row if name.startswith("loss_")}
        return [name for name in NAMES if name in found]

    def metrics(self) -> list[str]:
        """Names of the metrics that the evaluations have."""
        found = (name.removeprefix("metric_") for row in self.evaluations for name in row if name.startswith("metric_"))
        return list(dict.fromkeys(found))

    def span(self) -> tuple[float, float]:
        """Least and greatest share or metric that is to be seen."""
        drawn = self.metrics()[:MOST_METRICS]
        values = [row[f"metric_{name}"] for row in self.evaluations for name in drawn if f"metric_{name}" in row]
        return min([0.0, *values]), max([1.0, *values])


def draw(curves: Curves) -> bytes:
    """The picture, as PNG. Three panels over the same steps; held-out points are dots, the entropy is a dashed line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDE, 9.0), layout="constrained")
    losses, accuracies, pace = figure.subplots(3, 1, sharex=True, height_ratios=[3, 2, 1.4])
    _draw_losses(losses, curves)
    _draw_accuracies(accuracies, curves)
    _draw_pace(pace, curves.rows)
    for step, note in curves.notes.items():
        for axes in (losses, accuracies, pace):
            axes.axvline(step, color="0.6", linewidth=0.8, linestyle=":")
        losses.annotate(note, (step, 1), xycoords=("data", "axes fraction"), fontsize=8, color="0.4", va="top")
    figure.suptitle(curves.title)
    sink = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(sink, dpi=DOTS_AN_INCH, format="png")
    return sink.getvalue()


def points(rows: Iterable[Row], name: str) -> tuple[list[float], list[float]]:
    """Steps and values of what some rows have under a name."""
    found = [(row["step"], row[name]) for row in rows if name in row]
    return [step for step, _ in found], [value for _, value in found]


def smoothed(values: Sequence[float]) -> list[float]:
    """The mean of each value and those before it, as many as are one part in ``SMOOTH`` of all."""
    width = max(1, len(values) // SMOOTH)
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    return [(sums[n + 1] - sums[max(0, n + 1 - width)]) / min(width, n + 1) for n in range(len(values))]


def _draw_losses(axes: Any, curves: Curves) -> None:
    for number, name in enumerate(curves.objectives()):
        _draw_one(axes, curves, f"loss_{name}", NAMES[name], f"C{number}")
    if curves.unigram_entropy:
        label = f"unigram entropy of the corpus, {curves.unigram_entropy:.2f}"
        axes.axhline(curves.unigram_entropy, color="0.4", linestyle="--", linewidth=1, label=label)
    _finish(axes, "loss" if curves.metrics() else "loss, nats")


def _draw_accuracies(axes: Any, curves: Curves) -> None:
    for number, name in enumerate(curves.objectives()):
        _draw_one(axes, curves, f"accuracy_{name}", NAMES[name], f"C{number}")
    for number, name in enumerate(curves.metrics()[:MOST_METRICS], 1):
        steps, values = points(curves.evaluations, f"metric_{name}")
        label = f"{name}, held out: {values[-1]:.3f}"
        axes.plot(steps, values, "o--", color=f"C{number}", markersize=4, linewidth=0.8, label=label)
    axes.set_ylim(*curves.span())
    _finish(axes, "share right" if not curves.metrics() else "share right, metrics")


def _draw_one(axes: Any, curves: Curves, name: str, label: str, color: str) -> None:
    steps, values = points(curves.rows, name)
    axes.plot(steps, values, color=color, linewidth=0.5, alpha=0.35)
    axes.plot(steps, smoothed(values), color=color, linewidth=1.6, label=label)
    steps, values = points(curves.evaluations, name)
    if steps:
        last = f"{label}, held out: {values[-1]:.2f}"
        axes.plot(steps, values, "o", color=color, markersize=4, markeredgecolor="white", label=last)


def _draw_pace(axes: Any, rows: Sequence[Row]) -> None:
    steps, rates = points(rows, "learning_rate")
    axes.plot(steps, rates, color="C3", linewidth=1.4, label="learning rate")
    _finish(axes, "learning rate")
    axes.set_xlabel("step")
    steps, speeds = points(rows, "tokens_per_second")
    if steps:
        other = axes.twinx()
        other.plot(steps, smoothed(speeds), color="C4", linewidth=1.2, label="tokens/s, all workers")
        other.set_ylabel("tokens/s")
        other.set_ylim(bottom=0)
        lines = [*axes.get_lines(), *other.get_lines()]
        axes.legend(lines, [str(line.get_label()) for line in lines], loc="center right", **LEGEND)


def _finish(axes: Any, label: str) -> None:
    axes.set_ylabel(label)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**LEGEND)
