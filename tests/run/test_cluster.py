"""What a cluster has and may add. That a real autoscaler's word is found is seen in tests/faults/test_gpu_pool.py."""

from __future__ import annotations

from typing import Any

from pipelines.run.cluster import ClusterResources, Node, NodeType, cluster_resources, config_of_ray_cluster, may_add


def test_the_session_s_own_ray_has_no_autoscaler(ray_session: None) -> None:
    ours = cluster_resources()
    assert (ours.cpus, ours.gpus, ours.may_add, ours.is_autoscaled) == (4.0, 0.0, (), False)
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
