"""Any value of a part's columns as rich shows it: structs, lists of them, vectors, by their shape alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Floats = npt.NDArray[np.float32]

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
            cells += [
                Text(_short(value)),
                *([Bar(1, 0, value, width=BAR_WIDTH, color="cyan")] if name in shares else []),
            ]
        table.add_row(*cells)
    return table


def _is_share(name: str, value: Any) -> bool:
    return "prob" in name and isinstance(value, float) and 0 <= value <= 1


def cell(value: Any) -> str:
    """A value in a line: numbers by four digits, vectors and matrices by shape, mean, deviation and beginning."""
    if value is None or (isinstance(value, list) and not value):
        return "none"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {cell(one)}" for key, one in value.items())
    if not isinstance(value, list):
        return str(value)
    numbers = _numbers(value)
    if numbers is None:
        return ", ".join(map(cell, value))
    if numbers.size <= MOST_NUMBERS:
        return _beginning(numbers)
    shape = list(numbers.shape)
    return f"{shape}, mean {numbers.mean():.4f}, deviation {numbers.std():.4f}, {_beginning(numbers)} ..."


def _short(value: Any) -> str:
    """Like ``cell``, of vectors no more than what a column has room for."""
    numbers = _numbers(value) if isinstance(value, list) else None
    if numbers is None or numbers.size <= MOST_NUMBERS:
        return cell(value)
    return f"{list(numbers.shape)} {_beginning(numbers[: MOST_NUMBERS // 2])} ..."


def _numbers(values: Sequence[Any]) -> Floats | None:
    """Lists of numbers with a fraction as an array; None where they are something else."""
    try:
        array = np.asarray(values)
    except ValueError:  # lists of several lengths
        return None
    return array.astype(np.float32) if array.dtype.kind == "f" else None


def _beginning(numbers: Floats) -> str:
    return " ".join(f"{number:.3f}" for number in numbers.ravel()[:MOST_NUMBERS])
