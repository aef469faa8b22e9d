"""A fine-tuning on one node, on two, and on a cluster that grows meanwhile: it comes to the same within rounding."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor

from pipelines.finetune_spec import FinetuneSpec
from pipelines.store.location import locate
from pipelines.train.checkpoint import Checkpoint, read, write
from pipelines.train.checkpoints import committed_steps, folder_of
from pipelines.train.ranks import Ranks
from tests.faults.nodes import TwoNodes, cluster_of_two
from tests.faults.runs import Job, ended, until
from tests.faults.test_pretrain_elastic import ranks
from tests.faults.trainings import newest_step, reached
from tests.labelled import write_rows
from tests.train.given_task import assignment, flags_of, rows, spec_for
from tests.train.small_task import Run

pytestmark = pytest.mark.timeout(600)

FIELDS: dict[str, Any] = {
    "epochs": 0.0, "max_steps": 40, "global_batch": 32, "learning_rate": 3e-4, "schedule": "constant", "warmup": 0.0,
    "epsilon": 1e-2, "deliver": "last",
}  # fmt: skip
"""A step is the same however long the training is. (A key's bias has a slope of rounding alone: hence epsilon.)"""
POOL = (
    "--train.num_cpus", "3", "--train.num_threads", "1", "--train.log_steps", "1", "--train.trace", "true",
    "--cpu.max_actors", "1", "--progress", "log",
)  # fmt: skip
"""A node of four CPUs has room for one such worker."""
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    """One node with CPUs as the first test finds it; each test adds one."""
    with cluster_of_two() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def spec(tiny_model: Path) -> FinetuneSpec:
    """Without dropout, which each worker draws for itself."""
    return spec_for(tiny_model, **FIELDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and the examples that the first run makes of them."""
    folder = tmp_path_factory.mktemp("finetune")
    write_rows(folder / "data/0.parquet", rows(240))
    return folder


@pytest.fixture(scope="module")
def job(cluster: TwoNodes, spec: FinetuneSpec, folder: Path) -> Job:
    """The job that does what the spec says."""
    places = ("--train_data", str(folder / "data"), "--examples", str(folder / "examples"))
    return Job(flags=(*places, *flags_of(spec), *POOL), environment=cluster.environment, module="jobs.finetune")


def test_a_range_of_workers_grows_with_the_cluster_and_learns_as_one_worker(
    cluster: TwoNodes, job: Job, spec: FinetuneSpec, folder: Path
) -> None:
    output = folder / "grown"
    elastic = (
        "--train.workers",
        "1-2",
        "--train.resize_minutes",
        "0.02",
        "--train.checkpoint_steps",
        "0",
        "--train.keep",
        "2",
    )
    run = job.start(output, *elastic, "--spec.max_steps", "1000000")
    until(reached(output, 5), run)
    assert ranks(output) == [1]
    cluster.add_node()
    until(lambda: len(ranks(output)) == 2 and newest_step(output) > 0, run)
    (first,) = committed_steps(locate(str(output)))  # kept for the change: none was due
    until(reached(output, first + 10), run)
    run.send_signal(signal.SIGTERM)
    last = ended(run)
    assert last.code == 143, last.err
    assert ranks(output) == [1, 2]
    assert f"1 workers became 2: they go on from step {first:,}" in last.err
    alone, grown = locate(str(folder / "alone")), newest(output)
    write(alone, folder_of(first), read(locate(str(output)), folder_of(first)), {})
    rest = replace(spec, max_steps=grown.state.step)
    reference = Run(assignment(folder, rest, []), folder / "alone", Ranks())
    assert reference.run().state.step == grown.state.step >= first + 10
    assert difference(grown.weights, reference.model.state_dict()) <= ROUNDING


def test_two_workers_on_two_nodes_learn_as_one_worker(cluster: TwoNodes, job: Job, folder: Path) -> None:
    one, two = folder / "one", folder / "two"
    assert ended(job.start(one, "--train.workers", "1")).code == 0
    cluster.add_node()
    run = job.start(two, "--train.workers", "2")
    until(lambda: len(nodes(cluster)) == 2, run)
    last = ended(run)
    assert last.code == 0, last.err
    assert (ranks(one), ranks(two)) == ([1], [2])
    assert len(curve(one)) == FIELDS["max_steps"] + 7  # an evaluation an epoch, of 6 steps
    for ours, theirs in zip(curve(two), curve(one), strict=True):
        assert ours == pytest.approx(theirs, abs=ROUNDING)
    mine, its = (json.loads((output / "metrics.json").read_text()) for output in (two, one))
    assert mine["metrics"] == pytest.approx(its["metrics"], abs=ROUNDING)
    assert difference(*(load_file(output / "model.safetensors") for output in (two, one))) <= ROUNDING


def nodes(cluster: TwoNodes) -> set[int]:
    """Process ids of the nodes on which workers are at work: a node starts its own."""
    return {worker.ppid() for worker in cluster.workers("RayTrainWorker")}


def newest(output: Path) -> Checkpoint:
    """The last checkpoint."""
    location = locate(str(output))
    return read(location, folder_of(committed_steps(location)[-1]))


def curve(output: Path) -> list[dict[str, float]]:
    """Losses and metrics step by step, as the last checkpoint has them."""
    told = {"step", "position", "tokens", "merit", "grad_norm", "learning_rate"}
    return [
        {name: value for name, value in row.items() if name in told or name.startswith(("loss", "metric_"))}
        for row in newest(output).history
    ]


def difference(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    """The greatest between two weights of the same name and place."""
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)
