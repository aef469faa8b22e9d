"""A training on a cluster whose workers' node has yet to come: it is asked for, waited for, and said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.nodes import ray_head
from tests.faults.runs import ended
from tests.faults.trainings import TrainingJob, check_each_once
from tests.tiny_instances import prepare, write_config

STEPS = 40
SHORT = ("--spec.max_steps", str(STEPS))


@pytest.mark.timeout(600)
def test_a_node_for_the_workers_is_asked_for_and_waited_for(tiny_model: Path, tmp_path: Path) -> None:
    instances, config = prepare(tmp_path / "instances", tiny_model), write_config(tmp_path / "config.json")
    flags = ("--instances", str(instances), "--spec.architecture", str(config))
    output = tmp_path / "model"
    with ray_head("--num-cpus=0", may_add={"CPU": 2}) as head:
        last = ended(TrainingJob(flags=flags, environment=head.environment).start(output, 2, *SHORT))
    assert last.code == 0, last.err
    assert "start  waiting for room for 2 further workers (1 CPU each)" in last.err.splitlines()
    check_each_once(output, STEPS)
