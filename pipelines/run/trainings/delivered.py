"""What a fine-tuned model came to, as its workers told when they delivered it: for a report, and for a card.

It is the content of metrics.json: ``pipelines.train.finetune_delivery.outcome_of``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipelines.run.evaluations.evaluation_report import class_table, metrics_table

Told = Mapping[str, Any]
MOST_CLASSES = 50
"""Of which a card has a line; metrics.json has all of them."""


def headline(told: Told) -> str:
    """Which weights were delivered, and what their numbers are of."""
    return f"the weights of step {told['weights_of_step']:,}, on {told['examples']:,} examples to evaluate on"


def tables(told: Told) -> list[RenderableType]:
    """Metrics, those of classes, and notes; nothing where nothing was evaluated."""
    if not told.get("metrics"):
        return []
    parts: list[RenderableType] = [Text(headline(told), style="bold"), metrics_table(told["metrics"])]
    if told["by_class"]:
        parts += [Text(), class_table(told["by_class"])]
    return [*parts, *map(Text, told["notes"])]


def section(told: Told) -> str:
    """The same as Markdown, and a picture where there is one; "" where nothing was evaluated."""
    if not told.get("metrics"):
        return ""
    chosen = {name: f"**{name}**" if name == told["metric"] else name for name in told["metrics"]}
    lines = [f"Measured with {headline(told)}:", "", "| | |", "|---|---:|"]
    lines += [f"| {chosen[name]} | {value:.4f} |" for name, value in told["metrics"].items()]
    lines += _by_class(told["by_class"]) if told["by_class"] else []
    lines += ["", *told["notes"]] if told["notes"] else []
    lines += [f"\n![{name.partition('.')[0]}]({name})" for name in told["pictures"]]
    return "\n".join(lines)


def _by_class(by_class: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Those with the most examples first; the rest are counted."""
    names = sorted(by_class, key=lambda name: -by_class[name].get("support", 0))
    columns = list(dict.fromkeys(metric for values in by_class.values() for metric in values))
    lines = ["", f"| | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name in names[:MOST_CLASSES]:
        values = (by_class[name].get(column) for column in columns)
        shown = ["" if value is None else f"{value:,.0f}" if column == "support" else f"{value:.3f}"
                 for column, value in zip(columns, values, strict=True)]  # fmt: skip
        lines.append(f"| {name} | {' | '.join(shown)} |")
    more = len(names) - MOST_CLASSES
    return [*lines, "", f"and {more:,} more, in metrics.json"] if more > 0 else lines
