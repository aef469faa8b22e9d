from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import SpecError
from pipelines.run.cluster import ClusterResources, Node, NodeType
from pipelines.run.placement import Actors, Placement
from pipelines.run.prepare.maker_placement import place_makers
from pipelines.spec import TokenizePool


def on(*nodes: Node, cpu: TokenizePool = TokenizePool(), num_slices: int = 1000) -> Placement:
    return place_makers(ClusterResources(nodes=nodes), cpu, num_slices=num_slices)


def test_two_cpus_have_two_makers() -> None:
    ours = on(Node(cpus=2))
    assert (ours.read_tasks, ours.read_cpus, ours.write_actors, ours.write_cpus) == (1, 0.5, 1, 0.25)
    assert (ours.tokenize_actors, ours.tokenize_cpus, ours.encode_actors) == (2, 0.5, Actors(0, 0, 0))
    assert ours.cpus == 1.75
    assert str(ours) == "read 1 x 0.5 + tokenize 2 x 0.5 + write 1 x 0.25 = 1.75 CPUs"
    assert ours.waits_for == ""


def test_one_cpu_and_sixteen() -> None:
    assert (on(Node(cpus=1)).tokenize_actors, on(Node(cpus=1)).cpus) == (1, 1.0)
    ours = on(Node(cpus=16))
    assert (ours.tokenize_actors, ours.tokenize_cpus, ours.read_tasks) == (16, 0.75, 2)


def test_few_slices_need_few_makers() -> None:
    assert on(Node(cpus=16), num_slices=3).tokenize_actors == 3
    assert on(Node(cpus=16), num_slices=3).tokenize_cpus == 1.0
    assert on(Node(cpus=2), num_slices=0).tokenize_actors == 1


def test_settings_are_kept() -> None:
    assert on(Node(cpus=16), cpu=TokenizePool(max_actors=4)).tokenize_actors == 4
    assert on(Node(cpus=16), cpu=TokenizePool(num_cpus=2)).tokenize_actors == 7
    fixed = on(Node(cpus=16), cpu=TokenizePool(max_actors=5, num_cpus=2))
    assert (fixed.tokenize_actors, fixed.tokenize_cpus) == (5, 2.0)


def test_what_has_no_place_is_refused() -> None:
    with pytest.raises(SpecError, match=r"tokenize 5 x 2 .* may find no place on 1 node with 4 CPUs.*lower cpu"):
        on(Node(cpus=4), cpu=TokenizePool(max_actors=5, num_cpus=2))
    with pytest.raises(SpecError, match="no CPU to give"):
        on(Node(cpus=0))


def test_nodes_to_come_are_reckoned_with() -> None:
    resources = ClusterResources(nodes=(Node(cpus=0),), may_add=(NodeType(node=Node(cpus=8), most=2),))
    ours = place_makers(resources, TokenizePool(), num_slices=100)
    assert ours.tokenize_actors > 8
    assert ours.waits_for.endswith("more CPUs")


def test_the_object_store_bounds_what_is_under_way() -> None:
    resources = ClusterResources(nodes=(Node(cpus=2, object_store_bytes=2**28),))
    assert place_makers(resources, TokenizePool(), num_slices=9).object_store_bytes == 2**27


@given(st.lists(st.integers(1, 64), min_size=1, max_size=6), st.integers(0, 500))
def test_everything_has_its_place(cpus: list[int], num_slices: int) -> None:
    nodes = tuple(Node(cpus=one) for one in cpus)
    ours = on(*nodes, num_slices=num_slices)
    assert ours.fits(nodes)
    assert ours.tokenize_actors >= 1
