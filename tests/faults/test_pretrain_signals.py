"""A training in a terminal of its own, on a local Ray: Ctrl-C keeps a checkpoint, and leaves nothing else behind."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.store.location import locate
from pipelines.train.checkpoints import committed_steps
from tests.faults.nodes import environment_in
from tests.faults.runs import until
from tests.faults.test_signals import stop, terminal
from tests.faults.trainings import TrainingJob, reached
from tests.tiny_instances import prepare, write_config

ENDLESS = ("--spec.max_steps", "1000000", "--train.checkpoint_steps", "0", "--train.eval_steps", "0")


@pytest.fixture
def local(tiny_model: Path, tmp_path: Path) -> Iterator[TrainingJob]:
    """The job, each run on a Ray of its own."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    environment = environment_in(folder)
    del environment["RAY_AUTH_MODE"]  # as on anybody's machine
    instances, config = prepare(tmp_path / "instances", tiny_model), write_config(tmp_path / "config.json")
    flags = ("--instances", str(instances), "--spec.architecture", str(config), "--ray.address", "local")
    yield TrainingJob(flags=(*flags, "--ray.num_cpus", "2"), environment=environment)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("word", "code"), [("interrupted", 130), ("terminated", 143)])
def test_a_stop_keeps_a_checkpoint(local: TrainingJob, tmp_path: Path, word: str, code: int) -> None:
    output = tmp_path / "model"
    with terminal(local.command(output, 2, *ENDLESS, "--progress", "auto"), local.environment) as view:
        until(reached(output, 5), view.run)
        press = {130: lambda: os.write(view.master, b"\x03"), 143: view.run.terminate}[code]
        stop(view, output, press)
    assert view.run.returncode == code
    assert view.last_line == f"{word}: checkpoints stay; run the same command with --resume to go on"
    (report,) = output.glob("_manta/runs/*.json")
    assert json.loads(report.read_text())["exit_code"] == code
    assert "stopping after a checkpoint" in " ".join(view.text.split()), view.text
    (step,) = committed_steps(locate(str(output)))
    assert step >= 5
