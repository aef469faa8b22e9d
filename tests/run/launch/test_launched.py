"""A launched job as its handle has it: status, exit code, stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray.job_submission import JobDetails, JobType

from pipelines.errors import SpecError
from pipelines.run.launch.launched import LaunchedRun, exit_code_of
from pipelines.run.launch.parcel import Parcel
from pipelines.run.launch.submission import Launching, Submission
from tests.faults.nodes import Head
from tests.job_servers import client_of, waiting_for


@pytest.mark.parametrize(
    ("status", "driver", "code"),
    [
        ("SUCCEEDED", 0, 0),
        ("FAILED", 1, 1),
        ("FAILED", 3, 3),
        ("FAILED", 4, 4),
        ("FAILED", 143, 143),
        ("FAILED", -9, 137),
        ("FAILED", None, 1),
        ("STOPPED", None, 143),
    ],
)
def test_exit_codes(status: str, driver: int | None, code: int) -> None:
    told: dict[str, Any] = {"type": JobType.SUBMISSION, "entrypoint": "x", "status": status}
    assert exit_code_of(JobDetails(**told, driver_exit_code=driver)) == code


def handle(head: Head, entrypoint: str, output: Path) -> LaunchedRun:
    """The handle of a job that runs this line instead."""
    client, parcel = client_of(head), Parcel(folder=output, files={})
    asked = Submission(
        job="embed", flags=(), output=str(output), fingerprint="0" * 16, where=Launching(), parcel=parcel
    )
    return LaunchedRun(client, client.submit_job(entrypoint=entrypoint), asked)


@pytest.mark.timeout(120)
def test_a_job_is_seen_and_stopped(head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = handle(head, waiting_for(tmp_path / "never"), tmp_path)
    assert run.dashboard == f"{head.dashboard}/#/jobs/{run.id}"
    assert run.status in ("PENDING", "RUNNING")
    with pytest.raises(SpecError, match=r"call wait\(\) before"):
        run.report()
    run.stop()
    assert run.wait() == 143
    assert run.status == "STOPPED"
    assert f"{run.id} STOPPED" in capsys.readouterr().out
    assert run.report() == {}


@pytest.mark.timeout(120)
def test_the_newest_report_of_the_job_is_its_report(head: Head, tmp_path: Path) -> None:
    """Those of runs before and after it are others'."""
    runs = tmp_path / "_manta/runs"
    runs.mkdir(parents=True)
    for name in ("20200101T000000Z-00000000", "21200101T000000Z-00000000"):
        (runs / f"{name}.json").write_text('{"run": "another"}')
    mine = f"{runs}/$(date -u +%Y%m%dT%H%M%SZ)-0123abcd.json"
    run = handle(head, f"""echo '{{"run": "mine"}}' > "{mine}"; exit 3""", tmp_path)
    assert run.wait() == 3
    assert run.report() == {"run": "mine"}
