"""A training with a range of workers on a cluster that grows: it takes what is there, and grows with it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pipelines.store.instances import InstanceOutput
from pipelines.store.location import locate
from pipelines.train.checkpoints import committed_steps
from pipelines.train.feed import Feed
from pipelines.train.row_groups import list_row_groups
from tests.faults.nodes import cluster_of_two
from tests.faults.runs import ended, until
from tests.faults.trainings import GLOBAL_BATCH, TrainingJob, newest_step, reached, seen
from tests.tiny_instances import prepare, write_config

ENDLESS = ("--spec.max_steps", "1000000", "--train.log_steps", "1000", "--train.eval_steps", "0")
RANGE = ("--train.num_cpus", "2", "--train.resize_minutes", "0.05", "--train.checkpoint_steps", "0")


@pytest.mark.timeout(600)
def test_a_range_of_workers_grows_with_the_cluster_and_keeps_batches_and_order(
    tiny_model: Path, tmp_path: Path
) -> None:
    """No checkpoint is due by itself, so that going on from a step shows the one that the resize waited for."""
    instances, config = prepare(tmp_path / "instances", tiny_model), write_config(tmp_path / "config.json")
    flags = ("--instances", str(instances), "--spec.architecture", str(config))
    output = tmp_path / "model"
    with cluster_of_two() as cluster:
        run = TrainingJob(flags=flags, environment=cluster.environment).start(output, "1-3", *ENDLESS, *RANGE)
        until(reached(output, 10), run)
        assert ranks(output) == [2]  # of 2 CPUs each on a node of 4
        cluster.add_node()
        until(lambda: len(ranks(output)) == 2 and newest_step(output) > 0, run)
        first = committed_steps(locate(str(output)))[-1]
        until(reached(output, first + 10), run)
        run.send_signal(signal.SIGTERM)
        last = ended(run)
    assert last.code == 143, last.err
    assert f"2 workers became 3: they go on from step {first:,}" in last.err
    assert ranks(output) == [2, 3]
    check_order(output, instances)


def ranks(output: Path) -> list[int]:
    """How many workers each attempt had."""
    attempts = sorted(output.glob("_manta/trace/*"))
    return [len({path.stem.split("-")[1] for path in attempt.glob("*.jsonl")}) for attempt in attempts]


def check_order(output: Path, instances: Path) -> None:
    """Each step is of the instances that one worker would have taken, whoever took them."""
    found = InstanceOutput.open(str(instances))
    feed = Feed(list_row_groups(found.location, [part.key for part in found.parts]), num_streams=4, seed=0)
    done = committed_steps(locate(str(output)))[-1]
    steps = seen(output)
    assert list(steps)[:done] == list(range(done))
    for step in range(done):
        assert steps[step] == sorted(feed.seen(step * GLOBAL_BATCH, GLOBAL_BATCH))
