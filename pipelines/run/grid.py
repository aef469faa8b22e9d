"""Names and values in a grid, three pairs a line."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

PAIRS_A_ROW = 3


def grid(pairs: Mapping[str, str]) -> Table:
    """A table without lines: names dim, values to the right."""
    table = Table.grid(padding=(0, 2))
    for _ in range(PAIRS_A_ROW):
        table.add_column(style="dim")
        table.add_column(justify="right")
    cells = [cell for pair in pairs.items() for cell in pair]
    for start in range(0, len(cells), 2 * PAIRS_A_ROW):
        table.add_row(*cells[start : start + 2 * PAIRS_A_ROW])
    return table
