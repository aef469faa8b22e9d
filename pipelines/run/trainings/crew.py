"""How many workers a training gets, and of which size: sums over logical CPUs and GPUs before anything starts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.errors import SpecError
from pipelines.learning_spec import TrainPool
from pipelines.run.cluster import ClusterResources, Node
from pipelines.run.slots import Size, slots

CPUS_A_GPU = 4.0
"""Most logical CPUs of a worker with a GPU: one feeds it, others read and mask ahead."""


@dataclass(frozen=True, kw_only=True)
class Crew:
    """The workers of a training, in Ray's logical CPUs and GPUs."""

    least: int
    most: int
    num_cpus: float
    num_gpus: int
    num_threads: int
    """Threads of a worker's network on a CPU."""
    label_selector: Mapping[str, str] = field(default_factory=dict)
    """Labels of the nodes that it keeps to; {}: any."""

    @property
    def size(self) -> Size:
        """What one worker takes of a node."""
        return Size(self.num_cpus, float(self.num_gpus))

    @property
    def resources(self) -> dict[str, float]:
        """The same as Ray has it. A worker of nothing at all would be put anywhere: it takes a little of a CPU."""
        gpus = {"GPU": float(self.num_gpus)} if self.num_gpus else {}
        return {"CPU": self.num_cpus or (0.0 if gpus else 0.01), **gpus}

    def waits_for(self, nodes: Sequence[Node]) -> str:
        """What is missing on the nodes before the workers can start, "" nothing."""
        short = self.least - slots(nodes, self.size)
        more = "a further worker" if short == 1 else f"{short} further workers"
        return f"room for {more} ({_told(self.size)} each)" if short > 0 else ""

    def __str__(self) -> str:
        workers = f"{self.least}" if self.least == self.most else f"{self.least}-{self.most}"
        return f"{workers} x ({_told(self.size)})"


def crew_for(pool: TrainPool, resources: ClusterResources) -> Crew:
    """The crew for a cluster, now or as it may grow; SpecError with the sum and the remedy where it has no place.

    "auto": a GPU each where there are any. On CPUs the nodes' cores are divided among the workers, all of them.
    """
    nodes = (*resources.nodes, *resources.to_come)
    least, most = pool.worker_range
    gpus = _gpus(pool, nodes, resources)
    cpus = float(pool.num_cpus) if pool.num_cpus != "auto" else _cpus(nodes, gpus, most)
    threads = pool.num_threads if pool.num_threads != "auto" else max(1, int(cpus))
    crew = Crew(
        least=least, most=most, num_cpus=cpus, num_gpus=gpus, num_threads=threads,
        label_selector=resources.label_selector,
    )  # fmt: skip
    places = slots(nodes, crew.size)
    if places < least:
        raise SpecError(
            f"{least} workers x ({_told(crew.size)}) are wanted, and there are places for {places} "
            f"({resources}): lower train.workers, train.num_cpus or train.num_gpus, or add nodes"
        )
    return crew


def _gpus(pool: TrainPool, nodes: Sequence[Node], resources: ClusterResources) -> int:
    """GPUs of a worker. SpecError where some are asked for, and there are none."""
    there = any(node.gpus >= 1 for node in nodes)
    if pool.num_gpus != "auto":
        gpus = pool.num_gpus
    else:
        gpus = 1 if pool.device == "cuda" or (there and pool.device == "auto") else 0
    if gpus and not there:
        field = "num_gpus" if pool.num_gpus != "auto" else "device"
        raise SpecError(
            f"TrainPool.{field} is {getattr(pool, field)!r}, and no node has a GPU ({resources}): add one, or leave it "
            "at auto"
        )
    return gpus


def _cpus(nodes: Sequence[Node], gpus: int, most: int) -> float:
    """CPUs of a worker: its share of a node's. Whole ones where there are as many as workers."""
    if gpus:
        shares = [node.cpus / (node.gpus // gpus) for node in nodes if node.gpus >= gpus]
        return _rounded(min([CPUS_A_GPU, *shares]))
    kinds = Counter(node.cpus for node in nodes if node.cpus)
    if not kinds:
        raise SpecError("the cluster has no CPU to give: add a node with CPUs, or start the head with some")
    host = max(kinds, key=lambda cpus: cpus * kinds[cpus])
    a_host = math.ceil(most / sum(kinds.values()))
    while slots(nodes, Size(_rounded(host / a_host))) < most and a_host < most:
        a_host += 1
    return _rounded(host / a_host)


def _rounded(cpus: float) -> float:
    return float(math.floor(cpus + 1e-9)) if cpus >= 1 else math.floor(100 * cpus) / 100


def _told(size: Size) -> str:
    parts = [f"{size.cpus:g} CPU{'s' if size.cpus != 1 else ''}"]
    parts += [f"{size.gpus:g} GPU{'s' if size.gpus != 1 else ''}"] if size.gpus else []
    return ", ".join(parts)
