"""GPUs that are not there yet, and GPUs that are not there at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.nodes import Head, ray_head
from tests.faults.runs import Job, num_parts

LIMIT, SLICES = 200, 10


@pytest.fixture
def from_zero() -> Iterator[Head]:
    """A head without CPUs whose autoscaler may add one node with a GPU."""
    resources = {"CPU": 4, "GPU": 1, "object_store_memory": 100_000_000}
    with ray_head("--num-cpus=0", "--include-dashboard=false", may_add=resources) as head:
        yield head


@pytest.mark.timeout(600)
def test_a_pool_from_zero_is_asked_for_waited_for_and_never_replaced_by_cpus(
    job: Job, from_zero: Head, tmp_path: Path
) -> None:
    """The GPU is one to Ray alone: what asks for it may compute on a CPU if told so, and refuses otherwise."""
    there, output = replace(job, environment=from_zero.environment), tmp_path / "vectors"
    run = there.run(output, "--gpu.device", "cpu", "--gpu.num_gpus", "1", "--limit", str(LIMIT))
    assert (run.code, num_parts(output)) == (0, SLICES), run.err
    assert "waiting for a node with 1 GPU" in run.err
    (report,) = (output / "_manta/runs").iterdir()
    placement = json.loads(report.read_text())["placement"]
    assert (placement["encode_gpus"], placement["waits_for"]) == (1, "a node with 1 GPU")
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
