from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.run.cluster import Node
from pipelines.run.slots import Size, certain, slots


def test_an_actor_lies_on_one_node() -> None:
    nodes = [Node(cpus=4), Node(cpus=3), Node(cpus=0)]
    assert slots(nodes, Size(2)) == 2 + 1
    assert slots(nodes, Size(5)) == 0


def test_a_fraction_of_a_gpu_lies_on_one_gpu() -> None:
    node = Node(cpus=16, gpus=2)
    assert slots([node], Size(0, 0.6)) == 2
    assert slots([node], Size(0, 1 / 3)) == 6
    assert slots([node], Size(0, 2)) == 1
    assert slots([node], Size(10, 1)) == 1


@pytest.mark.parametrize(("others", "places"), [(0, 2), (1, 2), (1.25, 1), (2.5, 1), (2.75, 0), (4, 0)])
def test_places_fall_only_to_strictly_more_than_their_cost(others: float, places: int) -> None:
    assert certain([Node(cpus=4)], Size(1.5), others) == places


def test_the_worst_way_spreads_over_the_nodes() -> None:
    # Half a CPU on each of the two nodes, and no whole node is left, though 7 of 8 CPUs are free.
    assert certain([Node(cpus=4), Node(cpus=4)], Size(4), 1.0) == 0
    assert certain([Node(cpus=4), Node(cpus=4)], Size(3), 1.0) == 2 - 0
    assert certain([Node(cpus=4), Node(cpus=4)], Size(3), 1.25) == 1


def test_an_actor_without_cpus_is_kept_from_its_gpu_by_nothing() -> None:
    assert certain([Node(cpus=4, gpus=2)], Size(0, 1), 1000.0) == 2


QUARTERS = st.integers(0, 8)


@given(nodes=st.lists(QUARTERS, min_size=1, max_size=3), size=st.integers(1, 6), others=st.integers(0, 12))
def test_it_never_promises_more_than_the_worst_way_leaves(nodes: list[int], size: int, others: int) -> None:
    """Against every way of laying the others out, in eighths of a CPU; exact, as these nodes have no GPUs."""
    ways = itertools.product(*(range(cpus + 1) for cpus in nodes))
    worst = min(
        sum((cpus - load) // size for cpus, load in zip(nodes, way, strict=True)) for way in ways if sum(way) <= others
    )
    promised = certain([Node(cpus=cpus / 8) for cpus in nodes], Size(size / 8), others / 8)
    assert promised <= worst
    assert promised >= worst - len(nodes)  # the plain way lays in whole eighths, the other lays "a little more"


@given(
    cpus=st.integers(1, 8),
    gpus=st.integers(1, 4),
    size=st.integers(1, 4),
    others=st.integers(0, 10),
    twin=st.booleans(),
)
def test_with_gpus_it_promises_too_little_rather_than_too_much(
    cpus: int, gpus: int, size: int, others: int, twin: bool
) -> None:
    nodes = [(cpus, gpus), (cpus + 1, 1)] if twin else [(cpus, gpus)]
    ways = itertools.product(*(range(cpus + 1) for cpus, _ in nodes))
    worst = min(
        sum(min(gpus, (cpus - load) // size) for (cpus, gpus), load in zip(nodes, way, strict=True))
        for way in ways
        if sum(way) <= others
    )
    assert certain([Node(cpus=c, gpus=g) for c, g in nodes], Size(size, 1), others) <= worst
