from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.faults.nodes import BIN, Head
from tests.faults.runs import PATIENCE_SECONDS, Corpus, Job, check_same, check_whole
from tests.sources import ROOT

MOST_BYTES = 2 * 2**20


def submit(head: Head, *words: str) -> subprocess.CompletedProcess[str]:
    """`ray job submit`, as one types it in a checkout, to the job server of the head."""
    command = [str(BIN / "ray"), "job", "submit", "--address", head.dashboard, "--working-dir", ".", "--", *words]
    return subprocess.run(
        command, cwd=ROOT, env=head.environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


@pytest.mark.timeout(600)
def test_a_submitted_job_embeds_and_tells_its_exit_code(
    job: Job, head: Head, corpus: Corpus, undisturbed: Path, tmp_path: Path
) -> None:
    """The head asks for a token. Nothing is installed on it: what travels is the checkout, less what is made in it."""
    output = tmp_path / "vectors"
    words = ["python", *job.command(output)[1:]]
    done = submit(head, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1,600 documents, 1,600 rows" in done.stdout
    check_whole(output, corpus.ids)
    check_same(output, undisturbed)
    refused = submit(head, *words, "--limit", "-1")
    assert refused.returncode == 1  # as ray job submit has it for whatever failed
    assert "failed with exit code 2" in refused.stdout + refused.stderr
    assert "SpecError: limit is -1" in refused.stdout
    (travelled,) = head.folder.glob("ray/session_2*/runtime_resources/working_dir_files/_ray_pkg_*/")
    files = [path for path in travelled.rglob("*") if path.is_file()]
    assert (travelled / "jobs/embed.py").is_file()
    assert {path.relative_to(travelled).parts[0] for path in files}.isdisjoint({".git", ".venv", "build", "tests"})
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


@pytest.mark.timeout(300)
def test_without_the_token_nobody_submits(head: Head, tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").write_text("0" * 64)
    stranger = Head(**vars(head) | {"environment": head.environment | {"HOME": str(tmp_path)}})
    refused = submit(stranger, "python", "-c", "pass")
    assert refused.returncode != 0
    assert "oken" in refused.stdout + refused.stderr
