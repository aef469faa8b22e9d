"""A line a run, from the reports of whichever job."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.errors import SpecError
from pipelines.run.convert.convert_report import ConvertReport
from pipelines.run.report import Report
from pipelines.run.trainings.training_report import TrainingReport
from pipelines.run.upkeep.history import PastRun, read_history, show_history
from pipelines.store.location import locate
from pipelines.train.events import Evaluated
from tests.store.test_committed import vectors, write_output

EMBED = {
    "run": "20261123T050000Z-00000001", "job": "embed", "exit_code": 3, "seconds": 75.0, "rows": 4000,
    "tokens_per_second": 12000.0, "dead_letters": {"read: the text is null": 2, "encode: not finite": 1},
}  # fmt: skip
SLOW = EMBED | {"run": "20261123T060000Z-00000002", "exit_code": 0, "tokens_per_second": 6000.0, "dead_letters": {}}
PREPARE = EMBED | {"run": "20261124T235900Z-00000003", "job": "prepare", "exit_code": 0, "tokens_per_second": 3000.0}
PRETRAIN = {"run": "20261124T235900Z-00000003", "job": "pretrain", "exit_code": 0, "seconds": 3.0, "step": 9,
            "row": {"tokens_per_second": 3000.0}}  # fmt: skip
LOSSES = {"step": 9, "merit": -5.0, "loss_mlm": 4.5, "loss_nsp": 0.5, "accuracy_mlm": 0.2, "loss": 5.0}
METRICS = {"step": 6, "merit": 0.75, "metric_f1": 0.75, "metric_accuracy": 0.8, "loss_class": 0.5, "loss": 0.5}


@pytest.mark.parametrize("kind", [Report, ConvertReport, TrainingReport])
def test_every_report_tells_what_a_line_needs(kind: type) -> None:
    assert {"run", "job", "exit_code"} <= {one.name for one in fields(kind)}
    assert isinstance(kind.seconds, property)  # which to_json writes, too


def test_a_report_of_any_job_is_a_line() -> None:
    assert PastRun.of(EMBED) == PastRun(
        run="20261123T050000Z-00000001", job="embed", exit_code=3, seconds=75.0, rows=4000, tokens_per_second=12000.0,
        dead_letters=3,
    )  # fmt: skip
    found = PastRun.of(PRETRAIN)
    assert (found.began, found.rows, found.tokens_per_second, found.dead_letters) == (
        "2026-11-24 23:59",
        None,
        3000.0,
        None,
    )


def test_runs_are_shown_in_order_with_bars_of_their_speed(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    with pytest.raises(SpecError, match="holds no runs: name the --output of a job"):
        read_history(output)
    write_output(output, vectors, max_rows=4, dead={1})
    for told in (PREPARE, SLOW, EMBED):
        output.put(f"_manta/runs/{told['run']}.json", json.dumps(told).encode())
    console = Console(width=80, record=True)
    console.print(show_history(output, read_history(output)))
    lines = console.export_text().splitlines()
    first, second, third = (line for line in lines if line.startswith("2026-"))
    assert first.split() == ["2026-11-23", "05:00", "embed", "3", "4,000", "3", "1:15", "12.0k", "█" * 12]
    assert second.split()[-1] == "█" * 6
    assert third.split()[2:] == ["prepare", "0", "4,000", "3", "1:15", "3.0k", "█" * 3]
    assert lines[-1] == "there now: 5 rows in 2 parts, 1 dead letters"
    assert max(map(len, lines[1:])) <= 80


def test_of_a_training_its_steps_and_its_best_evaluation_are_shown(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    stopped = PRETRAIN | {"best": LOSSES, "exit_code": 143}
    tuned = PRETRAIN | {"run": "20261125T000000Z-00000004", "job": "finetune", "step": 12_000, "best": METRICS}
    ended = PRETRAIN | {"run": "20261126T000000Z-00000005", "row": {}, "best": {}}
    for told in (stopped, tuned, ended):
        output.put(f"_manta/runs/{told['run']}.json", json.dumps(told).encode())
    console = Console(width=80, record=True)
    console.print(show_history(output, read_history(output)))
    _, titles, *lines = (line.split() for line in console.export_text().splitlines())
    assert titles == ["began", "(UTC)", "job", "exit", "step", "best", "time", "tokens/s"]
    assert [line[2:] for line in lines] == [
        ["pretrain", "143", "9", "loss", "5.000", "0:03", "3.0k"],
        ["finetune", "0", "12,000", "f1", "0.750", "0:03", "3.0k"],
        ["pretrain", "0", "9", "0:03"],
    ]


def test_rows_of_an_evaluation_are_named_as_here() -> None:
    row = Evaluated(
        step=6, position=96, tokens=1, losses={"class": 0.5}, accuracies={}, counts={}, seconds=1.0, merit=0.75,
        metrics={"f1": 0.75, "accuracy": 0.8},
    ).row()  # fmt: skip
    assert PastRun.of(PRETRAIN | {"best": row}).best == "f1 0.750"
    row = Evaluated(
        step=6, position=96, tokens=1, losses={"mlm": 4.5, "nsp": 0.5}, accuracies={}, counts={}, seconds=1.0,
        merit=-5.0,
    ).row()  # fmt: skip
    assert PastRun.of(PRETRAIN | {"best": row}).best == "loss 5.000"
