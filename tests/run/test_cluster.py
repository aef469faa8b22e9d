from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pipelines.run.cluster import ClusterResources, Node, NodeType, cluster_resources, config_of_ray_cluster, may_add
from tests.faults.nodes import ray_head


def test_the_session_s_own_ray_has_no_autoscaler(ray_session: None) -> None:
    ours = cluster_resources()
    assert (ours.cpus, ours.gpus, ours.may_add) == (4.0, 0.0, ())
    assert ours.nodes[0].object_store_bytes == 512 * 2**20
    assert str(ours) == "1 node with 4 CPUs and 0 GPUs, and none to come"


def test_no_config_adds_nothing() -> None:
    assert may_add({}, [("", Node(cpus=4))] * 3) == ()


CONFIG = {
    "max_workers": 6,
    "head_node_type": "head",
    "available_node_types": {
        "head": {"resources": {"CPU": 0}, "max_workers": 0},
        "cpu": {"resources": {"CPU": 32}, "max_workers": 4},
        "gpu": {"resources": {"CPU": 16, "GPU": 1, "accelerator_type:L4": 1}, "max_workers": 3},
    },
}
CPU, GPU = Node(cpus=32), Node(cpus=16, gpus=1, accelerator="L4")


def test_node_types_may_be_added_up_to_the_limit_of_all() -> None:
    assert may_add(CONFIG, []) == (NodeType(node=GPU, most=3), NodeType(node=CPU, most=3))


def test_what_is_there_is_not_added_again() -> None:
    assert may_add(CONFIG, [("gpu", GPU), ("cpu", CPU)]) == (NodeType(node=GPU, most=2), NodeType(node=CPU, most=2))
    nameless = [("", GPU), ("", GPU), ("", GPU)]
    assert may_add(CONFIG, nameless) == (NodeType(node=CPU, most=3),)


def test_what_may_come_is_told() -> None:
    ours = ClusterResources(nodes=(Node(cpus=0),), may_add=may_add(CONFIG, []))
    assert str(ours) == "1 node with 0 CPUs and 0 GPUs, and 6 nodes with 144 CPUs and 3 GPUs by the autoscaler"
    assert len(ours.to_come) == 6


def ray_cluster(autoscaling: bool) -> dict[str, Any]:
    """A RayCluster resource as KubeRay keeps it, with a pool of GPUs from zero."""

    def template(limits: dict[str, str]) -> dict[str, Any]:
        return {"spec": {"containers": [{"name": "ray", "resources": {"limits": limits, "requests": limits}}]}}

    head = template({"cpu": "2", "memory": "8Gi"})
    gpu = template({"cpu": "15", "memory": "60Gi", "nvidia.com/gpu": "1"})
    group = {"groupName": "gpu", "replicas": 0, "minReplicas": 0, "maxReplicas": 4, "rayStartParams": {}}
    return {
        "metadata": {"name": "manta", "namespace": "default"},
        "spec": {
            "enableInTreeAutoscaling": autoscaling,
            "headGroupSpec": {"rayStartParams": {"num-cpus": "0"}, "template": head},
            "workerGroupSpecs": [group | {"template": gpu}],
        },
    }


def test_a_ray_cluster_resource_tells_what_may_come() -> None:
    kinds = may_add(config_of_ray_cluster(ray_cluster(autoscaling=True)), [])
    assert [(kind.node.cpus, kind.node.gpus, kind.most) for kind in kinds] == [(15, 1, 4)]
    assert config_of_ray_cluster(ray_cluster(autoscaling=False)) == {}


DRIVER = """
import json, sys
import ray
import ray.data
from ray.data import ActorPoolStrategy
from ray.data._internal.datasource.range_datasource import RangeDatasource
from pipelines.run.cluster import cluster_resources
from pipelines.run.placement import place, waits_for
from pipelines.run.sizing import ModelSize
from pipelines.run.streaming import set_streaming
from pipelines.spec import EncodePool, TokenizePool

class Tokenize:
    def __call__(self, batch):
        return batch

class Encode(Tokenize):
    def __call__(self, batch):
        return batch | {"gpu": ray.get_gpu_ids() * len(batch["id"])}

class Write(Tokenize):
    pass

ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
before = cluster_resources()
ours = place(before, TokenizePool(), EncodePool(), ModelSize(num_parameters=85_000_000))
set_streaming(ours, before)
source = RangeDatasource(n=6, block_format="arrow", column_name="id")
numbers = ray.data.read_datasource(source, override_num_blocks=6, num_cpus=ours.read_cpus)
pools = [
    (Tokenize, ActorPoolStrategy(size=ours.tokenize_actors), ours.tokenize_cpus, 0),
    (Encode, ActorPoolStrategy(
        min_size=ours.encode_actors.min, max_size=ours.encode_actors.max, initial_size=ours.encode_actors.initial,
    ), ours.encode_cpus, ours.encode_gpus),
    (Write, ActorPoolStrategy(size=ours.write_actors), ours.write_cpus, 0),
]
for stage, actors, cpus, gpus in pools:
    numbers = numbers.map_batches(stage, batch_size=1, compute=actors, num_cpus=cpus, num_gpus=gpus)
rows = numbers.take_all()
after = cluster_resources()
print(json.dumps({
    "before": str(before), "waits_for": ours.waits_for, "encoders": ours.encode_actors, "num_gpus": ours.encode_gpus,
    "rows": sorted(int(row["id"]) for row in rows), "gpus": sorted({int(row["gpu"]) for row in rows}),
    "after": str(after), "waits_for_after": waits_for(ours, after),
}))
"""


@pytest.fixture
def autoscaled() -> Iterator[dict[str, str]]:
    """A head without CPUs, whose autoscaler may add one node with a GPU: the environment of its drivers."""
    gpu = {"CPU": 2, "GPU": 1, "object_store_memory": 100_000_000}
    with ray_head("--num-cpus=0", "--include-dashboard=false", may_add=gpu) as head:
        yield head.environment


def test_a_run_on_pools_from_zero_asks_for_them_and_streams(autoscaled: dict[str, str]) -> None:
    """A stream of four stages, placed before any node is there that could take them."""
    command = [sys.executable, "-c", DRIVER, autoscaled["RAY_ADDRESS"]]
    driver = subprocess.run(command, env=autoscaled, capture_output=True, text=True, timeout=200, check=False)
    assert driver.returncode == 0, driver.stderr
    seen = json.loads(driver.stdout.splitlines()[-1])
    assert seen == {
        "before": "1 node with 0 CPUs and 0 GPUs, and 1 node with 2 CPUs and 1 GPU by the autoscaler",
        "waits_for": "a node with 1 GPU",
        "encoders": [1, 1, 1],
        "num_gpus": 1.0,
        "rows": list(range(6)),
        "gpus": [0],
        "after": "2 nodes with 2 CPUs and 1 GPU, and none to come",
        "waits_for_after": "",
    }
