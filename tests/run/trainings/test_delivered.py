from __future__ import annotations

import io
from typing import Any

from rich.console import Console, Group

from pipelines.run.trainings.delivered import section, tables

TOLD: dict[str, Any] = {
    "task": "classification",
    "labels": ["gold", "union"],
    "weights_of_step": 1200,
    "metric": "f1",
    "examples": 10,
    "metrics": {"accuracy": 0.8, "f1": 0.79},
    "losses": {"class": 0.5},
    "by_class": {
        "gold": {"precision": 0.75, "support": 4.0},
        "union": {"precision": 0.8333, "recall": 0.8, "support": 6.0},
    },
    "notes": ["no example has class silver"],
    "confusion": [[3, 1], [1, 5]],
    "pictures": ["confusion.png"],
}


def test_a_report_has_tables() -> None:
    console = Console(width=80, file=io.StringIO())
    with console.capture() as captured:
        console.print(Group(*tables(TOLD)))
    text = captured.get()
    assert text.startswith("the weights of step 1,200, on 10 examples to evaluate on\n")
    for told in ("accuracy", "0.8000", "union", "0.8333", "no example has class silver"):
        assert told in text
    assert tables({"weights_of_step": 3}) == []


def test_a_card_has_the_same_as_markdown() -> None:
    lines = section(TOLD).splitlines()
    for line in (
        "| accuracy | 0.8000 |", "| **f1** | 0.7900 |", "| | precision | support | recall |",
        "| union | 0.833 | 6 | 0.800 |", "| gold | 0.750 | 4 |  |", "![confusion](confusion.png)",
    ):  # fmt: skip
        assert line in lines
    many = {**TOLD, "by_class": {f"c{n}": {"support": float(n)} for n in range(60)}}
    assert "and 10 more, in metrics.json" in section(many)
    assert section({}) == ""
