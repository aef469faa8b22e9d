"""Any value of a part's columns as rich shows it: structs, lists of them, vectors, by their shape alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

MOST_NUMBERS = 6
"""Numbers of a vector that are shown."""
BAR_WIDTH = 20


def shown_value(name: str, value: Any) -> RenderableType:
    """A value under its name: structs field by field, lists of structs as a table, vectors by shape and first numbers.

    Lists of a struct that are equally long, such as labels and their probabilities, are the columns of a table.
    """
    if isinstance(value, Mapping):
        return _struct(name, value)
    if isinstance(value, Sequence) and value and all(isinstance(one, Mapping) for one in value):
        return Group(Text(name, style="bold"), _table(value))
    return Text.assemble((name, "bold"), f"  {cell(value)}")


def _struct(name: str, value: Mapping[str, Any]) -> RenderableType:
    lists = {key: one for key, one in value.items() if isinstance(one, list)}
    plain = [f"{key} {cell(one)}" for key, one in value.items() if key not in lists]
    parts: list[RenderableType] = [Text.assemble((name, "bold"), "  " + ", ".join(plain))]
    if len(lists) > 1 and len({len(one) for one in lists.values()}) == 1:
        rows = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        return Group(*parts, _table(rows))
    return Group(*parts, *(shown_value(f"  {key}", one) for key, one in lists.items()))


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    shares = {name for name in names if all(_is_share(name, row.get(name)) for row in rows)}
    for name in names:
        numeric = all(isinstance(row.get(name), int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        if name in shares:
            table.add_column()
    for row in rows:
        cells: list[RenderableType] = []
        for name in names:
            value: Any = row.get(name)
            cells += [Text(cell(value)), *([Bar(1, 0, value, width=BAR_WIDTH, color="cyan")] if name in shares else [])]
        table.add_row(*cells)
    return table


def _is_share(name: str, value: Any) -> bool:
    return "prob" in name and isinstance(value, float) and 0 <= value <= 1


def cell(value: Any) -> str:
    """A value in few characters: numbers by four digits, vectors and matrices by shape, mean, deviation, beginning."""
    if value is None:
        return "none"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {cell(one)}" for key, one in value.items())
    if isinstance(value, list | np.ndarray) and len(value):
        return _many(value)
    return "none" if isinstance(value, list) else str(value)


def _many(values: Sequence[Any] | np.ndarray) -> str:
    first = values[0]
    if not isinstance(first, float | np.floating | list | np.ndarray) or first == []:
        return ", ".join(map(cell, values))
    numbers = np.asarray(values, np.float32)
    beginning = " ".join(f"{number:.3f}" for number in numbers.ravel()[:MOST_NUMBERS])
    if numbers.size <= MOST_NUMBERS:
        return beginning
    return f"{list(numbers.shape)}, mean {numbers.mean():.4f}, deviation {numbers.std():.4f}, {beginning} ..."
