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


POOLS = {
    "head_node_type": "head",
    "available_node_types": {
        "head": {"resources": {"CPU": 0}, "max_workers": 0},
        "cpu": {"resources": {"CPU": 16}, "max_workers": 2, "labels": {"manta-pool": "cpu"}},
        "gpu": {"resources": {"CPU": 16, "GPU": 1}, "max_workers": 2, "labels": {"manta-pool": "gpu"}},
        "train": {"resources": {"CPU": 96, "GPU": 8}, "max_workers": 2, "labels": {"manta-pool": "train"}},
    },
}


def test_trainings_keep_to_their_pool_and_all_else_keeps_out_of_it() -> None:
    there = Node(cpus=96, gpus=8, pool="train")
    ours = ClusterResources(nodes=(Node(cpus=0), there), may_add=may_add(POOLS, [("train", there)]))
    training, beside = ours.for_training, ours.beside_training
    assert str(training) == "1 node with 96 CPUs and 8 GPUs, and 1 node with 96 CPUs and 8 GPUs by the autoscaler"
    assert str(beside) == "1 node with 0 CPUs and 0 GPUs, and 4 nodes with 64 CPUs and 2 GPUs by the autoscaler"
    assert (training.label_selector, beside.label_selector) == ({"manta-pool": "train"}, {"manta-pool": "!train"})


def test_where_there_is_no_pool_for_trainings_all_share_all() -> None:
    ours = ClusterResources(nodes=(Node(cpus=4), Node(cpus=4, pool="cpu")), may_add=may_add(CONFIG, []))
    assert ours.for_training == ours.beside_training == ours
    assert ours.label_selector == {}


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
