"""What a Ray cluster has, node by node, and what its autoscaler may add.

Open-source Ray publishes the node types of its autoscaler nowhere (the key that ``get_cluster_config`` reads is only
filled by managed platforms), so they are read where the autoscaler itself reads them: from the file that the monitor
process on the head was started with (``ray up``), or from the RayCluster resource (KubeRay).

Nodes may say by a label which pool they are of. Trainings keep to the pool ``train`` where there is one, so that a gang
is on machines that stand together and stay; all else keeps out of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import ray
import yaml
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

log = logging.getLogger(__name__)

HEAD = "node:__internal_head__"
POOL_LABEL = "manta-pool"
TRAIN_POOL = "train"
MONITORS = ("autoscaler/_private/monitor.py", "autoscaler/v2/monitor.py")
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
MOST_NODES = 1024  # of one type, where the autoscaler names no limit


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node, as Ray counts it: logical CPUs and GPUs."""

    cpus: float
    gpus: float = 0.0
    accelerator: str = ""
    """Ray's name for the kind of GPU, such as H100; "" unknown."""
    object_store_bytes: float = 0.0
    pool: str = ""
    """What its label says: cpu, gpu or train; "" nothing."""


@dataclass(frozen=True, kw_only=True)
class NodeType:
    """A kind of node that the autoscaler may add, and how many more of it."""

    node: Node
    most: int


@dataclass(frozen=True, kw_only=True)
class ClusterResources:
    """The nodes that are alive, and those that may come."""

    nodes: tuple[Node, ...]
    may_add: tuple[NodeType, ...] = ()
    is_autoscaled: bool = False
    """Whether an autoscaler replaces nodes that leave, also where it may add none now."""
    label_selector: Mapping[str, str] = field(default_factory=dict)
    """What Ray is to be told so that it takes these nodes and no others; {}: it may take all."""

    @property
    def for_training(self) -> ClusterResources:
        """What a training may take: the pool ``train``, where there is one now or to come."""
        return self._side(training=True)

    @property
    def beside_training(self) -> ClusterResources:
        """What anything else may take: all but the pool ``train``."""
        return self._side(training=False)

    def _side(self, *, training: bool) -> ClusterResources:
        everything = [*self.nodes, *(kind.node for kind in self.may_add)]
        if not any(node.pool == TRAIN_POOL for node in everything):
            return self
        return replace(
            self,
            nodes=tuple(node for node in self.nodes if (node.pool == TRAIN_POOL) is training),
            may_add=tuple(kind for kind in self.may_add if (kind.node.pool == TRAIN_POOL) is training),
            label_selector={POOL_LABEL: TRAIN_POOL if training else f"!{TRAIN_POOL}"},
        )

    @property
    def to_come(self) -> tuple[Node, ...]:
        """Every node that the autoscaler may add."""
        return tuple(kind.node for kind in self.may_add for _ in range(kind.most))

    @property
    def cpus(self) -> float:
        """Logical CPUs now."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs now."""
        return sum(node.gpus for node in self.nodes)

    def __str__(self) -> str:
        now = _sum(self.nodes)
        return f"{now}, and {_sum(self.to_come)} by the autoscaler" if self.may_add else f"{now}, and none to come"


def _sum(nodes: Sequence[Node]) -> str:
    cpus, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    return f"{_count(len(nodes), 'node')} with {_count(cpus, 'CPU')} and {_count(gpus, 'GPU')}"


def _count(number: float, noun: str) -> str:
    return f"{number:g} {noun}" if number == 1 else f"{number:g} {noun}s"


def cluster_resources() -> ClusterResources:
    """The resources of the cluster that this process is connected to: totals, whoever uses them now."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    nodes = tuple(node_of(node["Resources"], node.get("Labels", {})) for node in alive)
    workers = [(_type_name(node), shape) for node, shape in zip(alive, nodes, strict=True) if not _is_head(node)]
    config = _on_head(alive, autoscaling_config)
    return ClusterResources(nodes=nodes, may_add=may_add(config, workers), is_autoscaled=bool(config))


def node_of(resources: Mapping[str, float], labels: Mapping[str, str]) -> Node:
    """A node from Ray's own dictionaries of its resources and labels."""
    kinds = [name.partition(":")[2] for name in resources if name.startswith("accelerator_type:")]
    return Node(
        cpus=float(resources.get("CPU", 0)),
        gpus=float(resources.get("GPU", 0)),
        accelerator=kinds[0] if kinds else "",
        object_store_bytes=float(resources.get("object_store_memory", 0)),
        pool=labels.get(POOL_LABEL, ""),
    )


def may_add(config: Mapping[str, Any], workers: Iterable[tuple[str, Node]]) -> tuple[NodeType, ...]:
    """What an autoscaling config allows beyond the workers that are there; types with GPUs first.

    ``config`` has ``available_node_types`` and ``max_workers``, which bounds all types together; {}: no autoscaler.
    ``workers`` are (name of the type or "", node): a nameless one counts for the type of its size.
    """
    there = list(workers)
    left = int(config.get("max_workers", MOST_NODES)) - len(there)
    types = dict(config.get("available_node_types", {}))
    types.pop(config.get("head_node_type"), None)
    kinds = []
    for name, kind in sorted(types.items(), key=lambda item: -float(item[1].get("resources", {}).get("GPU", 0))):
        node = node_of(kind.get("resources", {}), kind.get("labels", {}))
        here = sum(1 for label, shape in there if label == name or (not label and _same_size(shape, node)))
        more = min(int(kind.get("max_workers", MOST_NODES)) - here, left)
        if more > 0:
            kinds.append(NodeType(node=node, most=more))
            left -= more
    return tuple(kinds)


def autoscaling_config(gcs_address: str) -> dict[str, Any]:
    """The config of the autoscaler that serves a cluster, {} where there is none. To be called on the head node."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        flags = dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
        mine = flags.get("--gcs-address") == gcs_address and any(word.endswith(MONITORS) for word in words)
        if mine and "--autoscaling-config" in flags:
            path = Path(flags["--autoscaling-config"]).expanduser()
            return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    return kuberay_config() if "RAY_CLUSTER_NAME" in os.environ and SERVICE_ACCOUNT.exists() else {}


def kuberay_config() -> dict[str, Any]:
    """The same from the RayCluster resource, with the rights that KubeRay gives a head whose autoscaler is on."""
    from ray.autoscaler._private.kuberay.node_provider import KubernetesHttpApiClient

    namespace = (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    name = os.environ["RAY_CLUSTER_NAME"]
    try:
        resource = KubernetesHttpApiClient(namespace=namespace).get(f"rayclusters/{name}")
    except OSError as error:  # requests' exceptions are OSErrors; without the autoscaler the right is not given
        log.info("RayCluster %s cannot be read (%s): taken to have no autoscaler", name, error)
        return {}
    return config_of_ray_cluster(resource)


def config_of_ray_cluster(resource: dict[str, Any]) -> dict[str, Any]:
    """The autoscaling config that Ray derives from a RayCluster resource, {} where its autoscaler is off."""
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

    if not resource["spec"].get("enableInTreeAutoscaling"):
        return {}
    return dict(_derive_autoscaling_config_from_ray_cr(resource))


def _on_head(alive: list[dict[str, Any]], function: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Call the function with the cluster's address on the head node: here if this is it, else in a task there."""
    head = next((node["NodeID"] for node in alive if _is_head(node)), None)
    context = ray.get_runtime_context()
    if head in (None, context.get_node_id()):
        return function(context.gcs_address)
    pinned = NodeAffinitySchedulingStrategy(node_id=head, soft=False)
    task = ray.remote(lambda: function(ray.get_runtime_context().gcs_address))
    return dict(ray.get(task.options(num_cpus=0, scheduling_strategy=pinned).remote()))


def _is_head(node: Mapping[str, Any]) -> bool:
    return HEAD in node["Resources"]


def _type_name(node: Mapping[str, Any]) -> str:
    return str(node.get("Labels", {}).get("ray.io/node-group", ""))


def _same_size(one: Node, other: Node) -> bool:
    return (one.cpus, one.gpus) == (other.cpus, other.gpus)
