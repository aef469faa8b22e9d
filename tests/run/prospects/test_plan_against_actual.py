from __future__ import annotations

import io

from rich.console import Console

from pipelines.run.prospects.plan_against_actual import against

PLAN = {"tokens": 1000, "rows": 10, "truncated": 0, "padding_fraction": 0.04, "write_bytes": 2000, "sampled": 7}
ACTUAL = {
    "tokens": 1100, "rows": 10, "truncated": 1, "padding_fraction": 0.02, "write_bytes": 1000, "seconds": 30.0,
    "cost": 3.0,
}  # fmt: skip
RATIO = {"tokens": 1.1, "rows": 1.0, "padding_fraction": 0.5, "write_bytes": 0.5, "seconds": 1.5, "cost": 2.0}


def lines(plan: dict[str, object]) -> dict[str, list[str]]:
    console = Console(width=80, file=io.StringIO())
    console.print(against(plan, ACTUAL, RATIO))
    assert isinstance(console.file, io.StringIO)
    found = [line.split("  ") for line in console.file.getvalue().splitlines()]
    return {cells[0]: [cell.strip() for cell in cells[1:] if cell.strip()] for cells in found}


def test_what_was_planned_is_shown_beside_what_came() -> None:
    found = lines(PLAN | {"seconds": 20.0, "cost": {"gpu": 1.0, "cpu": 0.5}})
    assert found["plan, by 7 documents"] == ["plan", "actual", "actual / plan"]
    assert found["tokens"] == ["1,000", "1,100", "1.10"]
    assert found["truncated"] == ["0", "1"]
    assert found["padding"] == ["4.0%", "2.0%", "0.50"]
    assert found["written"] == ["2.0 kB", "1.0 kB", "0.50"]
    assert found["encode, with its start"] == ["20 s", "30 s", "1.50"]
    assert found["cost"] == ["1.50", "3.00", "2.00"]


def test_what_was_not_planned_is_not_shown() -> None:
    assert list(lines(PLAN)) == ["plan, by 7 documents", "tokens", "rows", "truncated", "padding", "written"]
