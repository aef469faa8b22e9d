"""A training by `ray job submit`, stopped by `ray job stop` and submitted again, which sees each instance once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.faults.nodes import BIN, Head
from tests.faults.runs import PATIENCE_SECONDS, until
from tests.faults.trainings import TrainingJob, check_each_once, reached
from tests.sources import ROOT
from tests.tiny_instances import prepare, write_config


@pytest.fixture
def training(tiny_model: Path, head: Head, tmp_path: Path) -> TrainingJob:
    instances, config = prepare(tmp_path / "instances", tiny_model), write_config(tmp_path / "config.json")
    flags = ("--instances", str(instances), "--spec.architecture", str(config))
    return TrainingJob(flags=flags, environment=head.environment)


def ray_job(head: Head, verb: str, *words: str) -> subprocess.Popen[str]:
    """`ray job VERB`, as one types it in a checkout, at the job server of the head."""
    command = [str(BIN / "ray"), "job", verb, "--address", head.dashboard, *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=ROOT, env=head.environment, text=True, **pipes)  # type: ignore[call-overload]


@pytest.mark.timeout(600)
def test_a_submitted_training_is_stopped_and_goes_on(training: TrainingJob, head: Head, tmp_path: Path) -> None:
    output = tmp_path / "model"
    words = ["--working-dir", ".", "--", "python", *training.command(output, 2)[1:]]
    first = ray_job(head, "submit", "--submission-id", "first", *words)
    until(reached(output, 25), first)
    stopped, _ = ray_job(head, "stop", "first").communicate(timeout=PATIENCE_SECONDS)
    assert "was stopped" in stopped
    first.communicate(timeout=PATIENCE_SECONDS)
    assert not (output / "_manta/finished.json").exists()
    again = ray_job(head, "submit", *words)
    told, _ = again.communicate(timeout=PATIENCE_SECONDS)
    assert again.returncode == 0, told
    assert "going on from step" in told
    check_each_once(output)
    assert (output / "model.safetensors").is_file()
