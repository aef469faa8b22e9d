from __future__ import annotations

import pytest

from pipelines.errors import SpecError
from pipelines.learning_spec import TrainPool
from pipelines.run.cluster import ClusterResources, Node, NodeType
from pipelines.run.trainings.crew import Crew, crew_for

LAPTOP = Node(cpus=8)
GPUS = Node(cpus=32, gpus=4, accelerator="H100")


def crew(*nodes: Node, may_add: tuple[NodeType, ...] = (), **fields: object) -> Crew:
    return crew_for(TrainPool(**fields), ClusterResources(nodes=nodes, may_add=may_add))  # type: ignore[arg-type]


def test_one_worker_has_all_cores_of_a_laptop() -> None:
    ours = crew(LAPTOP)
    assert (ours.least, ours.most, ours.num_cpus, ours.num_gpus, ours.num_threads) == (1, 1, 8.0, 0, 8)
    assert ours.resources == {"CPU": 8.0}


@pytest.mark.parametrize(
    ("nodes", "workers", "cpus", "threads"),
    [
        ([8], 3, 2.0, 2),  # 2.67, and whole ones are kept
        ([2], 8, 0.25, 1),
        ([4, 4], 2, 4.0, 4),
        ([4, 4], 3, 2.0, 2),  # two on one node
        ([8, 2], 2, 4.0, 4),  # one of 8 each finds no second place: both on the large node
        ([0, 4], 2, 2.0, 2),  # a head without CPUs
    ],
)
def test_cores_are_divided_among_workers(nodes: list[int], workers: int, cpus: float, threads: int) -> None:
    ours = crew(*(Node(cpus=number) for number in nodes), workers=workers)
    assert (ours.num_cpus, ours.num_threads) == (cpus, threads)


def test_each_worker_has_a_gpu_where_there_are_any() -> None:
    ours = crew(GPUS, GPUS, workers=8)
    assert (ours.num_gpus, ours.num_cpus, ours.num_threads) == (1, 4.0, 4)
    assert ours.resources == {"CPU": 4.0, "GPU": 1.0}
    assert crew(Node(cpus=2, gpus=4), workers=4).num_cpus == 0.5
    assert crew(GPUS, device="cpu").num_gpus == 0


def test_a_range_is_divided_as_for_its_most() -> None:
    ours = crew(LAPTOP, workers="2-4")
    assert (ours.least, ours.most, ours.num_cpus) == (2, 4, 2.0)
    assert str(ours) == "2-4 x (2 CPUs)"


def test_what_is_set_is_kept() -> None:
    ours = crew(LAPTOP, workers=2, num_cpus=1, num_threads=3)
    assert (ours.num_cpus, ours.num_threads) == (1.0, 3)
    assert crew(GPUS, num_gpus=2).resources == {"CPU": 4.0, "GPU": 2.0}
    assert crew(LAPTOP, num_cpus=0).resources == {"CPU": 0.01}


def test_nodes_that_may_come_count_and_are_waited_for() -> None:
    ours = crew(Node(cpus=0), may_add=(NodeType(node=GPUS, most=2),), workers=8)
    assert ours.num_gpus == 1
    assert ours.waits_for([Node(cpus=0), GPUS]) == "room for 4 further workers (4 CPUs, 1 GPU each)"
    assert ours.waits_for([GPUS, GPUS]) == ""


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"workers": 3, "num_cpus": 4}, r"3 workers x \(4 CPUs\) are wanted, and there are places for 2 .*: lower"),
        ({"num_gpus": 1}, "num_gpus is 1, and no node has a GPU .*: add one"),
        ({"device": "cuda"}, "device is 'cuda', and no node has a GPU .*: add one"),
    ],
)
def test_what_has_no_place_is_refused_with_the_sum(fields: dict[str, object], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        crew(LAPTOP, **fields)


def test_a_cluster_without_cpus_is_refused() -> None:
    with pytest.raises(SpecError, match="no CPU to give: add a node"):
        crew(Node(cpus=0))


def test_a_gang_is_told_to_keep_to_the_pool_that_it_was_placed_on() -> None:
    mixed = ClusterResources(nodes=(Node(cpus=4), Node(cpus=96, gpus=8, pool="train")))
    ours = crew_for(TrainPool(workers=8), mixed.for_training)
    assert (ours.num_gpus, ours.num_cpus, ours.label_selector) == (1, 4.0, {"manta-pool": "train"})
    with pytest.raises(SpecError, match="9 workers"):
        crew_for(TrainPool(workers=9), mixed.for_training)
