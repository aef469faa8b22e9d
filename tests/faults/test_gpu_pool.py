"""GPUs that are not there yet, and GPUs that are not there at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.nodes import Head, end, ray_head
from tests.faults.runs import Job, num_parts
from tests.sources import ROOT

LIMIT, SLICES = 200, 10
WATCH = """
import json, select, sys
import ray
from pipelines.run.cluster import cluster_resources
from pipelines.run.placement import place, waits_for
from pipelines.run.sizing import ModelSize
from pipelines.spec import EncodePool, TokenizePool

def say(**facts):
    print(json.dumps(facts), flush=True)

ray.init(log_to_driver=False, logging_level="ERROR")
there = cluster_resources()
ours = place(there, TokenizePool(), EncodePool(), ModelSize(num_parameters=85_000_000))
say(there=str(there), waits_for=ours.waits_for, encoders=ours.encode_actors, num_gpus=ours.encode_gpus)
taken = False
while not select.select([sys.stdin], [], [], 0.05)[0]:
    taken |= ray.cluster_resources().get("GPU") == 1 and "GPU" not in ray.available_resources()
there = cluster_resources()
say(there=str(there), waits_for=waits_for(ours, there), was_taken=taken)
"""


@pytest.fixture
def from_zero() -> Iterator[Head]:
    """A head without CPUs whose autoscaler may add one node with a GPU."""
    resources = {"CPU": 4, "GPU": 1, "object_store_memory": 100_000_000}
    with ray_head("--num-cpus=0", "--include-dashboard=false", may_add=resources) as head:
        yield head


@contextmanager
def watched(head: Head) -> Iterator[list[dict[str, Any]]]:
    """What the house sees of a cluster as the block begins, and, added to the list, as it ends."""
    watch = subprocess.Popen(
        [sys.executable, "-c", WATCH], cwd=ROOT, env=head.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert watch.stdout is not None
        seen = [json.loads(watch.stdout.readline())]
        yield seen
        seen.append(json.loads(watch.communicate("end\n", timeout=60)[0]))
    finally:
        end(watch)


@pytest.mark.timeout(600)
def test_a_pool_from_zero_is_asked_for_waited_for_and_never_replaced_by_cpus(
    job: Job, from_zero: Head, tmp_path: Path
) -> None:
    """The GPU is one to Ray alone: what asks for it may compute on a CPU if told so, and refuses otherwise.

    Ray Data's guard against runs without progress, of 30 minutes, is set to a second: it would end the run.
    """
    guarded = {"RAY_DATA_EXECUTION_NO_PROGRESS_TIMEOUT_S": "1"}
    there, output = replace(job, environment=from_zero.environment | guarded), tmp_path / "vectors"
    with watched(from_zero) as seen:
        run = there.run(output, "--gpu.device", "cpu", "--gpu.num_gpus", "1", "--limit", str(LIMIT))
    assert (run.code, num_parts(output)) == (0, SLICES), run.err
    assert "waiting for a node with 1 GPU" in run.err
    (report,) = (output / "_manta/runs").iterdir()
    placement = json.loads(report.read_text())["placement"]
    assert (placement["encode_gpus"], placement["waits_for"]) == (1, "a node with 1 GPU")
    assert seen == [
        {
            "there": "1 node with 0 CPUs and 0 GPUs, and 1 node with 4 CPUs and 1 GPU by the autoscaler",
            "waits_for": "a node with 1 GPU",
            "encoders": [1, 1, 1],
            "num_gpus": 1.0,
        },
        {"there": "2 nodes with 4 CPUs and 1 GPU, and none to come", "waits_for": "", "was_taken": True},
    ]
    plain = there.run(tmp_path / "plain", "--limit", str(LIMIT))
    assert (plain.code, num_parts(tmp_path / "plain")) == (2, 0), plain.err
    assert plain.err.splitlines()[-1].startswith("SpecError: ")
    assert "cuda" in plain.err.splitlines()[-1].lower()
    assert "Traceback" not in plain.err


@pytest.mark.timeout(300)
def test_a_gpu_that_nobody_can_add_is_refused_before_the_run(job: Job, tmp_path: Path) -> None:
    refused = job.run(tmp_path / "vectors", "--gpu.num_gpus", "1")
    assert (refused.code, refused.err.count("\n")) == (2, 1), refused.err
    assert "EncodePool.num_gpus is 1" in refused.err
    assert "set num_gpus to 0" in refused.err
