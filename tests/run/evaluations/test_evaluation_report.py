from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from pipelines.run.evaluations.evaluation_report import Evaluation, EvaluationReport
from pipelines.store.location import locate

CLASSES = Evaluation(
    task="classification", metrics={"accuracy": 0.75, "f1": 0.5}, counts={"examples": 1200},
    by_class={"spam": {"f1": 0.25, "support": 3.0}, "ham": {"f1": 0.5, "recall": 1.0, "support": 9.0}},
    notes=("no example has class eggs",), pictures={"confusion.png": b"PNG"},
)  # fmt: skip
RANKS = Evaluation(task="retrieval", metrics={"recall@1": 0.5, "recall@10": 0.75, "map": 0.25}, counts={"queries": 8})
REPORT = EvaluationReport(model="m", model_hash="h", output="o", evaluations=(CLASSES, RANKS))


def text(report: EvaluationReport) -> list[str]:
    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(report.render())
    return [line.rstrip() for line in capture.get().splitlines()]


def test_the_table_shows_what_was_found() -> None:
    assert text(REPORT) == [
        "evaluate m",
        "output o",
        "",
        "classification: 1,200 examples",
        "accuracy  0.7500",
        "f1        0.5000",
        "",
        "          f1  recall  support",
        "ham   0.5000  1.0000        9",
        "spam  0.2500       -        3",
        "no example has class eggs",
        "",
        "retrieval: 8 queries",
        "recall  @1 0.5000   @10 0.7500",
        "map     0.2500",
    ]


def test_of_very_many_classes_some_are_shown() -> None:
    by_class = {f"c{n}": {"f1": 0.5, "support": float(n)} for n in range(30)}
    lines = text(EvaluationReport(model="m", model_hash="", output="o", evaluations=(
        Evaluation(task="multi_label", metrics={}, counts={}, by_class=by_class),)))  # fmt: skip
    assert lines[-1].startswith("and 10 more")
    assert lines[-2].startswith("c10 ")


def test_it_is_kept_as_json_and_pictures(tmp_path: Path) -> None:
    REPORT.put(locate(str(tmp_path)))
    told = json.loads((tmp_path / "metrics.json").read_text())
    assert (tmp_path / "confusion.png").read_bytes() == b"PNG"
    assert told["evaluations"][1] == {"task": "retrieval", "metrics": RANKS.metrics, "counts": {"queries": 8}}
    assert told["evaluations"][0]["by_class"]["ham"] == {"f1": 0.5, "recall": 1.0, "support": 9.0}
    assert told["evaluations"][0]["notes"] == ["no example has class eggs"]
    assert told["versions"]["python"]
