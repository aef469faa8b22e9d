from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import SpecError
from pipelines.run.cluster import ClusterResources, Node, NodeType
from pipelines.run.placement import Actors, Placement, place, waits_for
from pipelines.run.sizing import ModelSize
from pipelines.spec import EncodePool, TokenizePool

BASE = ModelSize(num_parameters=85_000_000)
CPU_POOL = NodeType(node=Node(cpus=32), most=4)
GPU_POOL = NodeType(node=Node(cpus=16, gpus=1, accelerator="L4"), most=8)


def on(*nodes: Node, may_add: tuple[NodeType, ...] = (), **pools: object) -> Placement:
    cpu, gpu = pools.pop("cpu", TokenizePool()), pools.pop("gpu", EncodePool())
    cluster = ClusterResources(nodes=nodes, may_add=may_add)
    return place(cluster, cpu, gpu, BASE, **pools)  # type: ignore[arg-type]


def test_two_cpus() -> None:
    ours = on(Node(cpus=2))
    assert (ours.read_tasks, ours.read_cpus) == (1, 0.5)
    assert (ours.tokenize_actors, ours.tokenize_cpus) == (1, 0.25)
    assert (ours.encode_actors, ours.encode_cpus, ours.encode_gpus) == (Actors(1, 1, 1), 1.0, 0.0)
    assert (ours.write_actors, ours.write_cpus, ours.num_threads) == (1, 0.25, 2)
    assert ours.cpus == 2.0
    assert ours.waits_for == ""


def test_one_cpu() -> None:
    ours = on(Node(cpus=1))
    assert ours.cpus == 1.0
    assert ours.encode_cpus == 0.5


def test_a_node_with_eight_gpus() -> None:
    ours = on(Node(cpus=192, gpus=8, accelerator="H200"))
    assert ours.encode_actors == Actors(8, 8, 8)
    assert (ours.encode_gpus, ours.encode_cpus) == (1.0, 0.0)
    assert ours.tokenize_actors == 38


def test_pools_from_zero_are_waited_for_and_not_replaced_by_cpus() -> None:
    ours = on(Node(cpus=0), may_add=(GPU_POOL, CPU_POOL))
    assert ours.encode_actors == Actors(1, 8, 8)
    assert ours.encode_gpus == 1.0
    assert ours.waits_for == "a node with 1 GPU"
    assert on(Node(cpus=8), may_add=(GPU_POOL,)).encode_gpus == 1.0
    there = ClusterResources(nodes=(Node(cpus=0), GPU_POOL.node))
    assert waits_for(ours, there) == ""


def test_cpus_from_zero_are_waited_for() -> None:
    ours = on(Node(cpus=0), may_add=(CPU_POOL,))
    assert ours.encode_gpus == 0
    assert ours.waits_for == "a node with 7.75 CPUs"


def test_cpus_are_used_beside_gpus_where_that_is_asked_for() -> None:
    for gpu in (EncodePool(num_gpus=0), EncodePool(device="cpu")):
        assert on(Node(cpus=8, gpus=2), gpu=gpu).encode_gpus == 0


@pytest.mark.parametrize(
    ("pools", "words"),
    [
        ({"gpu": EncodePool(num_gpus=1)}, ["num_gpus is 1", "no node has a GPU", "set num_gpus to 0"]),
        ({"gpu": EncodePool(device="cuda")}, ["device is cuda", "no node has a GPU", "set device to auto"]),
        (
            {"gpu": EncodePool(max_actors=8, num_cpus=2)},
            ["encode 8 x 2", "= 17 CPUs", "1 node with 4 CPUs", "encode 1 x 3"],
        ),
        ({"cpu": TokenizePool(max_actors=8, num_cpus=2)}, ["tokenize 8 x 2", "= 19.75 CPUs", "cpu"]),
        ({"gpu": EncodePool(num_cpus=5)}, ["5 CPUs", "no node has both", "gpu.num_cpus"]),
        ({"gpu": EncodePool(num_cpus=3), "cpu": TokenizePool(num_cpus=1)}, ["= 4.75 CPUs"]),
    ],
)
def test_what_has_no_place_is_refused_with_the_sum(pools: dict[str, object], words: list[str]) -> None:
    with pytest.raises(SpecError) as refused:
        on(Node(cpus=4), **pools)  # type: ignore[arg-type]
    assert all(word in str(refused.value) for word in words), refused.value


def test_the_design_that_hangs_is_refused() -> None:
    with pytest.raises(SpecError, match=r"= 2\.75 CPUs"):
        on(Node(cpus=2), cpu=TokenizePool(num_cpus=1), gpu=EncodePool(num_cpus=1))


def test_more_gpus_than_there_are_is_refused() -> None:
    with pytest.raises(SpecError, match="encode may find no place on 1 node with 16 CPUs and 4 GPUs"):
        on(Node(cpus=16, gpus=4), gpu=EncodePool(max_actors=8, num_gpus=1))
    assert on(Node(cpus=16, gpus=4), gpu=EncodePool(max_actors=8)).encode_actors.max == 4


def test_a_cluster_without_cpus_is_refused() -> None:
    with pytest.raises(SpecError, match="no CPU to give"):
        on(Node(cpus=0))


def test_gpus_come_whole_above_one() -> None:
    with pytest.raises(SpecError, match=r"num_gpus is 1\.5"):
        on(Node(cpus=8, gpus=2), gpu=EncodePool(num_gpus=1.5))


def test_bytes_under_way_are_bounded_by_half_of_the_store() -> None:
    small = on(Node(cpus=2, object_store_bytes=400 * 2**20))
    assert small.object_store_bytes == 200 * 2**20
    large = on(Node(cpus=192, gpus=8, accelerator="H200", object_store_bytes=2**40), slice_bytes=2**20 * 64)
    assert large.object_store_bytes == (4 * 8 + 2 * 38) * 64 * 2**20


NODES = st.builds(
    Node, cpus=st.sampled_from([0, 0.5, 1, 2, 3, 4, 8, 16, 40]), gpus=st.sampled_from([0, 0, 0, 1, 2, 8]),
    accelerator=st.sampled_from(["", "T4", "H100"]),
)  # fmt: skip
CPU_POOLS = st.builds(
    TokenizePool, max_actors=st.sampled_from(["auto", 1, 5]), num_cpus=st.sampled_from(["auto", 0, 0.5, 1, 2])
)
GPU_POOLS = st.builds(
    EncodePool,
    max_actors=st.sampled_from(["auto", 1, 2, 7]),
    num_gpus=st.sampled_from(["auto", 0, 0.5, 1, 2]),
    num_cpus=st.sampled_from(["auto", 0, 0.5, 1, 3]),
)


@given(
    nodes=st.lists(NODES, min_size=1, max_size=5),
    added=st.lists(st.builds(NodeType, node=NODES, most=st.integers(1, 3)), max_size=2),
    cpu=CPU_POOLS,
    gpu=GPU_POOLS,
    parameters=st.sampled_from([10_000_000, 85_000_000, 7_000_000_000]),
    seed=st.integers(0, 2**32),
)
def test_an_accepted_placement_never_locks_up(
    nodes: list[Node], added: list[NodeType], cpu: TokenizePool, gpu: EncodePool, parameters: int, seed: int
) -> None:
    """Actors and reads dealt out to nodes in any order: each stage gets what it needs, and a read has its place."""
    cluster = ClusterResources(nodes=tuple(nodes), may_add=tuple(added))
    try:
        ours = place(cluster, cpu, gpu, ModelSize(num_parameters=parameters))
    except SpecError:
        return
    placed = dealt_out(ours, [*nodes, *cluster.to_come], random.Random(seed))
    assert placed["encode"] >= 1
    assert placed["tokenize"] == ours.tokenize_actors
    assert placed["write"] == ours.write_actors
    assert placed["read"] >= 1
    if not added:
        assert placed["encode"] >= ours.encode_actors.min


@given(cpus=st.integers(1, 256), gpus=st.integers(0, 16), number=st.integers(1, 20))
def test_auto_finds_a_place_on_every_machine(cpus: int, gpus: int, number: int) -> None:
    ours = on(*[Node(cpus=cpus, gpus=gpus)] * number)
    assert ours.encode_actors.min >= 1
    assert bool(ours.encode_gpus) == bool(gpus)


def dealt_out(ours: Placement, nodes: list[Node], rng: random.Random) -> dict[str, int]:
    """How many of each stage find a place when all of them, in random order, go to random nodes that have room."""
    free_cpus = [node.cpus for node in nodes]
    free_gpus = [[1.0] * int(node.gpus) for node in nodes]
    asked = ["encode"] * ours.encode_actors.max + ["tokenize"] * ours.tokenize_actors
    asked += ["write"] * ours.write_actors + ["read"] * ours.read_tasks
    rng.shuffle(asked)
    sizes = {
        "encode": ours.encode_cpus,
        "tokenize": ours.tokenize_cpus,
        "write": ours.write_cpus,
        "read": ours.read_cpus,
    }
    placed = dict.fromkeys(sizes, 0)
    for stage in asked:
        gpus = ours.encode_gpus if stage == "encode" else 0.0
        for index in rng.sample(range(len(nodes)), len(nodes)):
            if free_cpus[index] >= sizes[stage] - 1e-6 and take_gpus(free_gpus[index], gpus):
                free_cpus[index] -= sizes[stage]
                placed[stage] += 1
                break
    return placed


def take_gpus(free: list[float], wanted: float) -> bool:
    """Take whole GPUs, or a fraction of one; False where there are none."""
    share, number = (wanted, 1) if wanted < 1 else (1.0, int(wanted))
    fit = [index for index, left in enumerate(free) if left >= share - 1e-6][:number]
    if wanted and len(fit) < number:
        return False
    for index in fit if wanted else []:
        free[index] -= share
    return True
