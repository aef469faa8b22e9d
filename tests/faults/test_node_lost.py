from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.faults.nodes import end, environment_in, workers
from tests.faults.runs import Corpus, Job, check_same, check_whole, ended, num_parts, until

CLUSTER = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster()
cluster.add_node(num_cpus=0, include_dashboard=False)
node = cluster.add_node(num_cpus=4)
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(node, allow_graceful=False)
cluster.add_node(num_cpus=4)
print("replaced", flush=True)
sys.stdin.readline()
"""


@dataclass(frozen=True, kw_only=True)
class TwoNodes:
    """A head without CPUs, and a node with four."""

    environment: dict[str, str]
    process: subprocess.Popen[str]

    def replace_node(self) -> None:
        """Kill the node with all that runs there, and add another in its place."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "replaced\n"


@pytest.fixture
def two_nodes() -> Iterator[TwoNodes]:
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    environment = environment_in(folder)
    with (folder / "cluster.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=log, text=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, (folder / "cluster.log").read_text()
        yield TwoNodes(environment=environment | {"RAY_ADDRESS": address}, process=process)
    finally:
        end(process)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(600)
def test_a_node_lost_in_midstream_and_replaced_loses_and_doubles_nothing(
    job: Job, two_nodes: TwoNodes, corpus: Corpus, undisturbed: Path, tmp_path: Path
) -> None:
    """All actors are on the lost node. Local paths are accepted: both nodes see the same disk."""
    output = tmp_path / "vectors"
    run = replace(job, environment=two_nodes.environment).start(output)
    until(lambda: num_parts(output) > 10, run)
    encoders = [worker.pid for worker in workers(two_nodes.process.pid, "ChunkEncoder")]
    assert len(encoders) == 1
    two_nodes.replace_node()
    until(
        lambda: {worker.pid for worker in workers(two_nodes.process.pid, "ChunkEncoder")} - set(encoders) != set(), run
    )
    last = ended(run)
    assert last.code == 0, last.err
    check_whole(output, corpus.ids)
    check_same(output, undisturbed)
