"""What is submitted: names of variables, no secret, a line that a shell takes, ids that are new."""

from __future__ import annotations

import subprocess
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.run.launch.parcel import Parcel
from pipelines.run.launch.submission import MOST_CHARACTERS, Launching, Submission, flags_of


def submission(**changes: Any) -> Submission:
    fields: dict[str, Any] = {
        "job": "embed", "flags": ("--limit=5",), "output": "s3://vectors/sotu/", "fingerprint": "0123456789abcdef",
        "where": Launching(), "parcel": Parcel(folder=Path("/house"), files={"jobs/embed.py": 10}),
    }  # fmt: skip
    return Submission(**fields | changes)


def test_settings_become_flags() -> None:
    settings = {
        "documents": ["a", "b"],
        "text": "",
        "spec": {"dim": 64, "calibration": {"quantile": 0.5}, "normalize": False, "prompt": "auto"},
        "resume": True,
        "again": False,
        "spec.stride": 3,
        "environment": ("LANG",),
    }
    assert flags_of(settings) == [
        '--documents=["a", "b"]',
        "--text=",
        "--spec.dim=64",
        "--spec.calibration.quantile=0.5",
        "--spec.normalize=false",
        "--spec.prompt=auto",
        "--resume",
        "--spec.stride=3",
        '--environment=["LANG"]',
    ]


def test_ids_are_of_the_request_and_then_counted() -> None:
    name = "embed-s3-vectors-sotu-0123456789ab"
    assert list(islice(submission().ids(), 3)) == [name, f"{name}-r2", f"{name}-r3"]
    assert next(submission(output="/a/{fingerprint}").ids()) == "embed-a-0123456789ab"
    assert next(submission(output="/" + "x" * 500).ids()) == f"embed-{'x' * 60}-0123456789ab"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"environment": ("AWS_SECRET_ACCESS_KEY",)}, r'write --secrets "\[AWS_SECRET_ACCESS_KEY\]"'),
        ({"environment": ("HF_TOKEN",)}, "seen by all"),
        ({"environment": ("MANTA_TEST_NOWHERE",)}, "MANTA_TEST_NOWHERE, which is not set here"),
        ({"environment": ("A=canary",)}, "names of variables alone"),
        ({"secrets": ("x; rm -rf y",)}, "names of variables alone"),
    ],
)
def test_variables_go_by_name(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told) as refused:
        Launching(**fields)
    assert "canary" not in str(refused.value)


def test_values_are_taken_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    where = Launching(environment=("TOKENIZERS_PARALLELISM",), secrets=("HF_TOKEN",))
    assert submission(where=where).runtime_env == {
        "working_dir": "/house",
        "env_vars": {"TOKENIZERS_PARALLELISM": "false"},
    }
    assert submission().runtime_env == {"working_dir": "/house"}


def test_no_secret_is_in_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANTA_TEST_PASSWORD", "canary-0123")
    with pytest.raises(SpecError, match="value of MANTA_TEST_PASSWORD") as refused:
        submission(flags=("--documents=s3://c/canary-0123",))
    assert "canary" not in str(refused.value)
    with pytest.raises(SpecError, match="password in a URL") as refused:
        submission(flags=("--documents=https://me:canary@host/x",))
    assert "canary" not in str(refused.value)
    submission(flags=("--documents=http://[::1]:80/x@y",))


def test_a_line_too_long_for_a_shell_is_refused() -> None:
    with pytest.raises(SpecError, match="folders or globs"):
        submission(flags=("x" * MOST_CHARACTERS,))


def test_a_secret_that_is_missing_there_ends_the_job_with_2(tmp_path: Path) -> None:
    """Run by the shell that Ray uses, with a python of ours that tells its words."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    python.chmod(0o755)
    line = submission(where=Launching(secrets=("HF_TOKEN", "MY_KEY")), flags=("--text=it's $HOME",)).entrypoint

    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        return subprocess.run(line, shell=True, env=path | variables, capture_output=True, text=True, check=False)

    assert run(HF_TOKEN="x", MY_KEY="y").stdout == "<-m><jobs.embed><--text=it's $HOME>"
    refused = run(HF_TOKEN="x")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("SpecError: MY_KEY is not set on the cluster")
