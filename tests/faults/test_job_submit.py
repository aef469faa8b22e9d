"""`ray job submit` where it goes wrong. That it goes right is seen in tests/faults/test_pretrain_submitted.py."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.faults.nodes import BIN, Head
from tests.faults.runs import PATIENCE_SECONDS, Job
from tests.sources import ROOT

MOST_BYTES = 2 * 2**20


def submit(head: Head, *words: str) -> subprocess.CompletedProcess[str]:
    """`ray job submit`, as one types it in a checkout, to the job server of the head."""
    command = [str(BIN / "ray"), "job", "submit", "--address", head.dashboard, "--working-dir", ".", "--", *words]
    return subprocess.run(
        command, cwd=ROOT, env=head.environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


@pytest.mark.timeout(300)
def test_a_submitted_job_tells_its_exit_code_and_takes_the_code_alone_along(job: Job, head: Head) -> None:
    """The head asks for a token. Nothing is installed on it: what travels is the checkout, less what is made in it."""
    before = packages(head)
    refused = submit(head, "python", *job.command("vectors", "--limit", "-1")[1:])
    assert refused.returncode == 1  # as ray job submit has it for whatever failed
    assert "failed with exit code 2" in refused.stdout + refused.stderr
    assert "SpecError: limit is -1" in refused.stdout
    (travelled,) = packages(head) - before
    files = [path for path in travelled.rglob("*") if path.is_file()]
    assert (travelled / "jobs/embed.py").is_file()
    assert {path.relative_to(travelled).parts[0] for path in files}.isdisjoint({".git", ".venv", "build", "tests"})
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


def packages(head: Head) -> set[Path]:
    """Folders of what travelled to the head."""
    return set(head.folder.glob("ray/session_2*/runtime_resources/working_dir_files/_ray_pkg_*/"))


@pytest.mark.timeout(300)
def test_without_the_token_nobody_submits(head: Head, tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").write_text("0" * 64)
    stranger = Head(**vars(head) | {"environment": head.environment | {"HOME": str(tmp_path)}})
    refused = submit(stranger, "python", "-c", "pass")
    assert refused.returncode != 0
    assert "oken" in refused.stdout + refused.stderr
