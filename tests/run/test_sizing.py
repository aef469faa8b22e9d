from __future__ import annotations

import pytest

from pipelines.run.cluster import Node
from pipelines.run.sizing import ModelSize, Sizing
from pipelines.spec import EncodePool, TokenizePool

MINI, BASE, LARGE = (
    ModelSize(num_parameters=10_600_000),
    ModelSize(num_parameters=85_000_000),
    ModelSize(num_parameters=303_000_000),
)


def sizing(
    *nodes: Node, cpu: TokenizePool | None = None, gpu: EncodePool | None = None, model: ModelSize = BASE
) -> Sizing:
    return Sizing(cpu=cpu or TokenizePool(), gpu=gpu or EncodePool(), model=model, nodes=nodes)


@pytest.mark.parametrize(
    ("cpus", "encoders", "encode_cpus", "threads"),
    [(1, 1, 0.5, 1), (2, 1, 1.0, 2), (4, 1, 3.0, 4), (8, 1, 7.0, 8), (16, 2, 7.5, 8), (64, 8, 7.75, 8)],
)
def test_encoders_own_a_cpu_machine(cpus: int, encoders: int, encode_cpus: float, threads: int) -> None:
    ours = sizing(Node(cpus=cpus))
    assert ours.encode_cpus == encode_cpus
    assert ours.num_threads == threads
    assert ours.most_encoders([Node(cpus=cpus)], None) == encoders
    assert ours.gpus == 0


def test_the_node_that_most_cpus_are_in_decides() -> None:
    assert sizing(Node(cpus=2), Node(cpus=16), Node(cpus=16)).encode_cpus == 7.5
    assert sizing(*[Node(cpus=4)] * 5, Node(cpus=16)).encode_cpus == 3.0


def test_one_actor_asked_for_owns_all_cores() -> None:
    ours = sizing(Node(cpus=16), gpu=EncodePool(max_actors=1))
    assert (ours.encode_cpus, ours.num_threads) == (15.0, 16)


@pytest.mark.parametrize(
    ("model", "accelerator", "cpus", "gpus"),
    [
        (BASE, "H200", 192, 1.0),  # .4 x 989e12 / (2 x 85e6) = 2.3 M tokens/s: one process feeds that
        (MINI, "H200", 192, 0.25),  # 18.7 M tokens/s
        (MINI, "A100-40G", 192, 1.0),  # 5.9 M: not yet two
        (MINI, "T4", 192, 1.0),
        (MINI, "H200", 16, 1.0),  # 2 cores a GPU feed no second process
        (LARGE, "", 192, 1.0),
    ],
)
def test_small_models_share_a_fast_gpu(model: ModelSize, accelerator: str, cpus: int, gpus: float) -> None:
    assert sizing(Node(cpus=cpus, gpus=8, accelerator=accelerator), model=model).gpus == gpus


def test_the_slowest_gpu_of_several_decides() -> None:
    assert (
        sizing(Node(cpus=96, gpus=1, accelerator="H100"), Node(cpus=8, gpus=1, accelerator="T4"), model=MINI).gpus == 1
    )


def test_an_encoder_with_a_gpu_takes_no_cpu() -> None:
    assert sizing(Node(cpus=96, gpus=8)).encode_cpus == 0
    assert sizing(Node(cpus=96, gpus=8), gpu=EncodePool(num_cpus=4)).encode_cpus == 4


def test_tokenizers_match_the_gpus_within_the_cores() -> None:
    # BERT-base on an H200 makes 2.33 M tokens/s, so 8 of them take 18.6 M: 38 tokenizers.
    assert sizing(Node(cpus=192, gpus=8, accelerator="H200")).tokenizers(3.0, 8) == (38, 1.0)
    # Of 16 cores 8 feed the GPUs and 1.5 read and write.
    assert sizing(Node(cpus=16, gpus=8, accelerator="H200")).tokenizers(1.5, 8) == (6, 1.0)
    assert sizing(Node(cpus=2, gpus=1, accelerator="H200")).tokenizers(0.75, 1) == (1, 0.25)


def test_what_is_set_is_kept() -> None:
    ours = sizing(Node(cpus=192, gpus=8), cpu=TokenizePool(max_actors=3))
    assert ours.tokenizers(3.0, 8) == (3, 1.0)
    exact = sizing(Node(cpus=16), cpu=TokenizePool(max_actors=4, num_cpus=0.5))
    assert exact.tokenizers(0.75, 2) == (4, 0.5)


def test_few_slices_ask_for_few_new_nodes() -> None:
    here = Node(cpus=16, gpus=1)
    ours = sizing(*[here] * 10)
    assert ours.most_encoders([], None) == 10
    assert ours.most_encoders([], 12) == 3
    assert ours.most_encoders([here] * 10, 12) == 10
    assert ours.most_encoders([here] * 10, 2) == 2


def test_helpers_leave_cores_to_the_tokenizers() -> None:
    assert sizing(Node(cpus=192, gpus=8)).helpers(8) == 4
    assert sizing(Node(cpus=8, gpus=8)).helpers(8) == 1
    assert sizing(*[Node(cpus=16)] * 10).helpers(20) == 3
