"""A node that is taken away with notice: its workers keep a checkpoint in time, and go on elsewhere."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pipelines.store.location import locate
from pipelines.train.checkpoints import committed_steps
from tests.faults.nodes import cluster_of_two
from tests.faults.runs import ended, until
from tests.faults.trainings import TrainingJob, reached
from tests.tiny_instances import prepare, write_config

ENDLESS = ("--spec.max_steps", "1000000", "--train.log_steps", "1000", "--train.eval_steps", "0")
BY_NOTICE_ALONE = ("--train.checkpoint_steps", "0", "--train.max_failures", "0")


@pytest.mark.timeout(600)
def test_workers_keep_a_checkpoint_when_their_node_has_notice(tiny_model: Path, tmp_path: Path) -> None:
    """No failure is allowed: a node that is taken away with notice is none."""
    instances, config = prepare(tmp_path / "instances", tiny_model), write_config(tmp_path / "config.json")
    flags = ("--instances", str(instances), "--spec.architecture", str(config))
    output = tmp_path / "model"
    with cluster_of_two() as cluster:
        run = TrainingJob(flags=flags, environment=cluster.environment).start(output, 2, *ENDLESS, *BY_NOTICE_ALONE)
        until(reached(output, 10), run)
        assert committed_steps(locate(str(output))) == []
        cluster.preempt_node()
        until(lambda: bool(committed_steps(locate(str(output)))), run)
        until(lambda: len(list(output.glob("_manta/trace/*"))) == 2, run)
        at_notice, *_, step = committed_steps(locate(str(output)))
        until(reached(output, step + 10), run)
        run.send_signal(signal.SIGTERM)
        last = ended(run)
    assert last.code == 143, last.err
    assert at_notice < step  # and another was kept when the notice ended
    assert f"the workers were moved: they go on from step {step:,}" in last.err
