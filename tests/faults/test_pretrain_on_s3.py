"""A training from s3:// to s3://, by the real command: its checkpoints, and the model that others read from there."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pipelines.run.local import Encoder
from pipelines.spec import EmbedSpec
from pipelines.store.location import locate
from pipelines.train.checkpoints import committed_steps
from tests.faults.nodes import Head
from tests.faults.runs import ended, until
from tests.faults.trainings import EVERY, TrainingJob, check_each_once
from tests.servers import S3Server
from tests.tiny_instances import prepare_at, write_config

STEPS = 40


@pytest.mark.timeout(600)
def test_stopped_and_gone_on_with_on_s3(s3: S3Server, head: Head, tiny_model: Path, tmp_path: Path) -> None:
    bucket = s3.bucket()
    instances, output = f"s3://{bucket}/instances", f"s3://{bucket}/model"
    prepare_at(locate(instances), tiny_model, parts=(40, 24), held_out=12)
    flags = ("--instances", instances, "--spec.architecture", str(write_config(tmp_path / "config.json")))
    training, short = TrainingJob(flags=flags, environment=head.environment), ("--spec.max_steps", str(STEPS))
    run = training.start(output, 2, *short)
    until(lambda: bool(committed_steps(locate(output))), run, 0.1)
    run.send_signal(signal.SIGTERM)
    stopped = ended(run)
    assert stopped.code == 143, stopped.err
    assert stopped.err.splitlines()[-1].endswith("checkpoints stay; run the same command with --resume to go on")
    assert EVERY <= committed_steps(locate(output))[-1] < STEPS
    last = ended(training.start(output, 1, *short))
    assert last.code == 0, last.err
    check_each_once(output, STEPS)
    assert Encoder(EmbedSpec(model=output)).encode(["the union"]).shape == (1, 32)
    assert s3.unfinished(bucket) == []
    again = ended(training.start(output, 1, *short))
    assert (again.code, "nothing to do" in again.out) == (0, True), again.err
