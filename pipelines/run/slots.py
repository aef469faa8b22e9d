"""Places for actors on nodes: how many there are, and how many are left whatever else is put there first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from pipelines.run.cluster import Node

UNBOUNDED = 10**6
GRAIN = 1e-4  # of Ray's resources


class Size(NamedTuple):
    """What an actor or task takes of one node."""

    cpus: float
    gpus: float = 0.0


def slots(nodes: Iterable[Node], size: Size) -> int:
    """How many actors of the size empty nodes hold. An actor lies on one node; a fraction of a GPU on one GPU."""
    return sum(_on_node(node, size) for node in nodes)


def certain(nodes: Iterable[Node], size: Size, others: float) -> int:
    """How many actors of the size find a place after others have taken their CPUs in the worst way.

    ``others`` are logical CPUs, taken to be divisible at will. The worst way takes the cheapest places first. On a node
    of 4 CPUs with actors of 1.5 there are two places and 1 CPU to spare: the first place falls only after that 1 CPU,
    the second after 1.5 more. So 2 others leave 1 place there, and 1 leaves both.
    """
    lost, left, total = 0, others - GRAIN, 0
    for cost, number in sorted(_costs(nodes, size).items()):
        total += number
        if left > 0:  # strictly more than a place's cost must be taken: what just fills the rest takes no place
            falls = number if cost <= GRAIN else min(number, max(0, math.ceil(left / cost) - 1))
            lost += falls
            left -= falls * cost
    return total - lost


def _costs(nodes: Iterable[Node], size: Size) -> Counter[float]:
    """Number of places by the CPUs that others must take (and a little more) for the place to fall."""
    costs: Counter[float] = Counter()
    for node, number in Counter(nodes).items():
        places = _on_node(node, size)
        spare = node.cpus - places * size.cpus
        if not size.cpus:
            costs[math.inf] += places * number
        elif spare <= size.cpus:
            costs[max(spare, 0.0)] += min(places, 1) * number
            costs[size.cpus] += max(places - 1, 0) * number
        elif places:  # GPUs are scarcer than CPUs here: the first place costs much, so count the mean of all
            costs[(spare + (places - 1) * size.cpus) / places] += places * number
    return costs


def _on_node(node: Node, size: Size) -> int:
    by_cpus = math.floor((node.cpus + GRAIN) / size.cpus) if size.cpus else UNBOUNDED
    if not size.gpus:
        return by_cpus
    if size.gpus >= 1:
        return min(by_cpus, math.floor(node.gpus / size.gpus))
    return min(by_cpus, int(node.gpus) * math.floor((1 + GRAIN) / size.gpus))
