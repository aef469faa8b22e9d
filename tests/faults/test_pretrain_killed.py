"""A training killed at steps by chance: no instance is lost or seen twice, and the curve is that of none that was."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from tests.faults.nodes import Head, TwoNodes
from tests.faults.runs import ended, until
from tests.faults.trainings import (
    EVERY,
    MAX_STEPS,
    TrainingJob,
    check_each_once,
    check_same_curve,
    newest_step,
    reached,
    seen,
)
from tests.tiny_instances import prepare, write_config

SAME = 1e-6


@pytest.fixture(scope="module")
def training(head: Head, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    """The job with dropout, on the head."""
    folder = tmp_path_factory.mktemp("killed")
    instances, config = prepare(folder / "instances", tiny_model), write_config(folder / "config.json")
    flags = ("--instances", str(instances), "--spec.architecture", str(config))
    return TrainingJob(flags=flags, environment=head.environment)


@pytest.fixture(scope="module")
def undisturbed(training: TrainingJob, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of two workers whom nothing disturbs."""
    output = tmp_path_factory.mktemp("undisturbed") / "model"
    last = ended(training.start(output, 2))
    assert last.code == 0, last.err
    return output


def kill_driver(run: subprocess.Popen[str], output: Path, step: int) -> None:
    """Kill it when this step is in hand."""
    until(reached(output, step), run)
    run.kill()
    ended(run)


@pytest.mark.timeout(900)
def test_a_rank_and_the_driver_killed_leave_the_curve_as_it_is(
    training: TrainingJob, undisturbed: Path, head: Head, tmp_path: Path
) -> None:
    rng, output = random.Random(4), tmp_path / "model"
    run = training.start(output, 2)
    until(reached(output, rng.randrange(EVERY, MAX_STEPS // 3)), run)
    first, second = head.workers("RayTrainWorker")
    rng.choice([first, second]).kill()
    until(lambda: len(list(output.glob("_manta/trace/*"))) == 2, run)
    kill_driver(run, output, rng.randrange(MAX_STEPS // 3, 2 * MAX_STEPS // 3))
    last = ended(training.start(output, 2))
    assert last.code == 0, last.err
    assert "going on from step" in last.err
    check_each_once(output)
    assert seen(output) == seen(undisturbed)
    check_same_curve(output, undisturbed, SAME)


@pytest.mark.timeout(900)
def test_other_numbers_of_workers_see_the_same_steps(training: TrainingJob, undisturbed: Path, tmp_path: Path) -> None:
    """Two, then three, then one: each is killed with its driver but the last."""
    rng, output = random.Random(5), tmp_path / "model"
    kill_driver(training.start(output, 2), output, rng.randrange(EVERY, MAX_STEPS // 3))
    third = training.start(output, 3)
    kill_driver(third, output, max(newest_step(output), MAX_STEPS // 3) + rng.randrange(EVERY, MAX_STEPS // 3))
    last = ended(training.start(output, 1))
    assert last.code == 0, last.err
    check_each_once(output)
    assert seen(output) == seen(undisturbed)


@pytest.mark.timeout(900)
def test_a_node_lost_and_replaced_leaves_the_curve_as_it_is(
    training: TrainingJob, undisturbed: Path, two_nodes: TwoNodes, tmp_path: Path
) -> None:
    output = tmp_path / "model"
    run = training.on(two_nodes.environment).start(output, 2)
    until(reached(output, random.Random(6).randrange(EVERY, MAX_STEPS - EVERY)), run)
    two_nodes.replace_node()
    last = ended(run)
    assert last.code == 0, last.err
    assert "all are started again" in last.err
    check_each_once(output)
    check_same_curve(output, undisturbed, SAME)
