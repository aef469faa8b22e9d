"""What was planned beside what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.table import Table

from pipelines.run.display import seconds, size

SHOWN: dict[str, tuple[str, Callable[[float], str]]] = {
    "tokens": ("tokens", "{:,.0f}".format),
    "rows": ("rows", "{:,.0f}".format),
    "truncated": ("truncated", "{:,.0f}".format),
    "padding_fraction": ("padding", "{:.1%}".format),
    "write_bytes": ("written", size),
    "seconds": ("encode, with its start", seconds),
    "cost": ("cost", "{:,.2f}".format),
}
"""By name in the report: what a line is called, and how its numbers are written."""


def against(plan: Mapping[str, Any], actual: Mapping[str, float], ratio: Mapping[str, float]) -> Table:
    """A line for each number of the plan, with what came of it and how many times the plan that is."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(f"plan, by {plan['sampled']:,} documents")
    for name in ("plan", "actual", "actual / plan"):
        table.add_column(name, justify="right")
    numbers = {**plan, "cost": sum(plan["cost"].values())} if "cost" in plan else plan
    for name, (title, written) in SHOWN.items():
        if name in numbers:
            times = f"{ratio[name]:.2f}" if name in ratio else ""
            table.add_row(title, written(numbers[name]), written(actual[name]), times)
    return table
