"""A disk that runs full at a checkpoint: one line, exit code 1, and the checkpoint before it is gone on from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pipelines.store.location import locate
from pipelines.train.checkpoints import committed_steps
from tests.faults.nodes import Head
from tests.faults.runs import ended
from tests.faults.test_disk_full import LARGE, small_disk
from tests.faults.trainings import EVERY, TrainingJob, check_each_once
from tests.tiny_instances import prepare, write_config

ONE_CHECKPOINT = 700_000
"""Bytes that one checkpoint of some 400 kB fits into, with what lies beside it, and no second one."""

STEPS = 40
SHORT = ("--spec.max_steps", str(STEPS))


@pytest.mark.timeout(600)
def test_a_full_disk_at_a_checkpoint_loses_none_before_it(head: Head, tiny_model: Path, tmp_path: Path) -> None:
    instances, config = prepare(tmp_path / "instances", tiny_model), write_config(tmp_path / "config.json")
    flags = ("--instances", str(instances), "--spec.architecture", str(config))
    training = TrainingJob(flags=flags, environment=head.environment)
    folder = tmp_path / "disk"
    folder.mkdir()
    output = folder / "model"
    with small_disk(folder, ONE_CHECKPOINT) as mounted:
        if not mounted:
            pytest.skip("this user may not mount a small disk")
        stopped = ended(training.start(output, 1, *SHORT))
        assert stopped.code == 1, stopped.err
        assert f"no checkpoint of step {2 * EVERY} yet: " in stopped.err
        last_line = stopped.err.splitlines()[-1]
        assert last_line.startswith("StoreError: ")
        assert "the disk is full: make room" in last_line
        assert "Traceback" not in stopped.err
        assert committed_steps(locate(str(output))) == [EVERY]
        subprocess.run(["mount", "-o", f"remount,size={LARGE}", str(folder)], check=True)
        last = ended(training.start(output, 1, *SHORT))
        assert last.code == 0, last.err
        assert f"going on from step {EVERY}" in last.err
        check_each_once(output, STEPS)
