"""A training by `ray job submit`, stopped by the job server and submitted again, which sees each instance once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from pipelines.run.metrics import OF_TRAINING, PROGRESS, RESTARTS, STEP, STEPS, TRAIN_TOKENS
from pipelines.run.trainings.chronicle import read_history
from pipelines.store.location import locate
from tests.endpoint import names, runs_told, samples, text_of, values, wait_for
from tests.faults.nodes import BIN, Head
from tests.faults.runs import PATIENCE_SECONDS, until
from tests.faults.trainings import MAX_STEPS, TrainingJob, check_each_once, reached
from tests.job_servers import client_of
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
    words = ["--working-dir", ".", "--", "python", *training.command(output, 2, "--train.eval_steps", "10")[1:]]
    first = ray_job(head, "submit", "--submission-id", "first", *words)
    until(reached(output, 25), first)
    assert client_of(head).stop_job("first")  # what `ray job stop` asks for, which takes seconds to start
    first.communicate(timeout=PATIENCE_SECONDS)
    assert not (output / "_manta/finished.json").exists()
    begun = holder(output)
    again = ray_job(head, "submit", *words)
    until(lambda: holder(output) != begun, again)
    check_gauges(head, holder(output))
    told, _ = again.communicate(timeout=PATIENCE_SECONDS)
    assert again.returncode == 0, told
    assert "going on from step" in told
    check_each_once(output)
    assert (output / "model.safetensors").is_file()
    check_counters(head, output)


def holder(output: Path) -> str:
    """The run that holds the output, or was the last to."""
    return str(json.loads((output / "_manta/lease.json").read_text())["run"])


def check_gauges(head: Head, run: str) -> None:
    """The endpoint tells where a run is, or was some seconds ago, and all else that a training has.

    Its workers were never started again.
    """
    all_names = names(PROGRESS, *OF_TRAINING) - names(RESTARTS)
    told = wait_for(head, lambda told: all_names <= told.keys() and told[STEP.name] > 10, run=run)
    assert told[STEPS.name] > 0
    assert 0 <= told["manta_train_data_wait_ratio"] <= 1
    assert told["manta_train_workers"] == 2
    assert 0 < told["manta_train_loss"] < 10
    assert told["manta_evaluation_merit"] == -told["manta_evaluation_loss"]
    assert {sample.labels["job_name"] for sample in samples(text_of(head), run=run).values()} == {"pretrain"}


def check_counters(head: Head, output: Path) -> None:
    """What the second run counts is what its report tells, less what the first had done, as the curves have it."""
    reports = [json.loads(path.read_text()) for path in output.glob("_manta/runs/*.json")]
    (second,) = (report for report in reports if report["outcome"] == "done")
    rows = {row["step"]: row for row in read_history(locate(str(output)), MAX_STEPS) if row["event"] == "stepped"}
    text = text_of(head)
    told = values(text, run=second["run"])
    assert told[STEPS.name] == MAX_STEPS - second["first_step"] < MAX_STEPS
    assert told[TRAIN_TOKENS.name] == rows[MAX_STEPS]["tokens"] - rows[second["first_step"]]["tokens"]
    assert runs_told(text)["pretrain", "0"] >= 1
