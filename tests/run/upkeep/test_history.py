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
from tests.store.test_committed import vectors, write_output

EMBED = {
    "run": "20261123T050000Z-00000001", "job": "embed", "exit_code": 3, "seconds": 75.0, "rows": 4000,
    "tokens_per_second": 12000.0, "dead_letters": {"read: the text is null": 2, "encode: not finite": 1},
}  # fmt: skip
SLOW = EMBED | {"run": "20261123T060000Z-00000002", "exit_code": 0, "tokens_per_second": 6000.0, "dead_letters": {}}
PRETRAIN = {"run": "20261124T235900Z-00000003", "job": "pretrain", "exit_code": 0, "seconds": 3.0, "step": 9,
            "row": {"tokens_per_second": 3000.0}}  # fmt: skip


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
    for told in (PRETRAIN, SLOW, EMBED):
        output.put(f"_manta/runs/{told['run']}.json", json.dumps(told).encode())
    console = Console(width=80, record=True)
    console.print(show_history(output, read_history(output)))
    lines = console.export_text().splitlines()
    first, second, third = (line for line in lines if line.startswith("2026-"))
    assert first.split() == ["2026-11-23", "05:00", "embed", "3", "4,000", "3", "1:15", "12.0k", "█" * 12]
    assert second.split()[-1] == "█" * 6
    assert third.split()[2:] == ["pretrain", "0", "0:03", "3.0k", "█" * 3]
    assert lines[-1] == "there now: 5 rows in 2 parts, 1 dead letters"
    assert max(map(len, lines[1:])) <= 80
