from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pipelines.model.folder import read_folder
from pipelines.model.loading import load_network
from pipelines.model.loop import BatchLoop, Chunks, Rows
from pipelines.model.network import Network
from tests.model.conftest import spec_for

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["padded", "packed"])
def network(request: pytest.FixtureRequest, make_folder: Callable[..., Path]) -> Network:
    folder = read_folder(make_folder())
    return load_network(folder, spec_for(folder), device=CPU, precision="float32", path=request.param)


class Gathered:
    """What came of each chunk, and how often."""

    def __init__(self) -> None:
        self.hidden: dict[int, Tensor] = {}

    def __call__(self, rows: Rows, hidden_td: Tensor, lengths_b: Tensor) -> None:
        for row, hidden in zip(rows.tolist(), hidden_td.split(lengths_b.tolist()), strict=True):
            assert row not in self.hidden
            self.hidden[row] = hidden.clone()


def chunks_of(lengths: list[int]) -> Chunks:
    values = np.random.default_rng(len(lengths)).integers(5, 60, sum(lengths)).astype(np.int32)
    return Chunks(values, np.concatenate([[0], np.cumsum(lengths)]))


def run(network: Network, chunks: Chunks, budget: int, lanes: int = 1) -> tuple[Gathered, dict[int, str]]:
    loop = BatchLoop(network, CPU, lanes=lanes, token_budget=budget, max_positions=80)
    gathered = Gathered()
    failures, stats = loop.run(chunks, gathered, Gathered)
    assert stats.num_tokens == len(chunks.values)
    assert stats.num_computed_tokens >= sum(len(hidden) for hidden in gathered.hidden.values())
    return gathered, failures


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 70), min_size=1, max_size=12), st.integers(1, 200), st.integers(1, 3))
def test_every_chunk_once_as_if_alone(network: Network, lengths: list[int], budget: int, lanes: int) -> None:
    chunks = chunks_of(lengths)
    gathered, failures = run(network, chunks, budget, lanes)
    assert failures == {}
    assert sorted(gathered.hidden) == list(range(len(lengths)))
    for row in {0, len(lengths) - 1}:
        start, stop = chunks.offsets[row : row + 2]
        alone, _ = run(network, Chunks(chunks.values[start:stop], np.array([0, stop - start])), 1000)
        torch.testing.assert_close(gathered.hidden[row], alone.hidden[0], atol=2e-5, rtol=1e-4)


def test_chunks_that_no_network_should_see_are_failures(network: Network) -> None:
    chunks = Chunks(np.array([7, 8, 10**6, 7], np.int32), np.array([0, 2, 3, 3, 4]))
    gathered, failures = run(network, chunks, 100)
    assert set(failures) == {1, 2}
    assert sorted(gathered.hidden) == [0, 3]


def test_a_harvest_that_fails_on_one_chunk_loses_that_alone(network: Network) -> None:
    taken: list[int] = []

    def harvest(rows: Rows, hidden_td: Tensor, lengths_b: Tensor) -> None:
        if 2 in rows:
            raise RuntimeError("not this one")
        taken.extend(rows.tolist())

    loop = BatchLoop(network, CPU, lanes=2, token_budget=1000, max_positions=80)
    failures, _ = loop.run(chunks_of([5] * 7), harvest, Gathered)
    assert failures == {2: "RuntimeError: not this one"}
    assert sorted(taken) == [0, 1, 3, 4, 5, 6]


def test_a_harvest_that_always_fails_is_raised(network: Network) -> None:
    def harvest(rows: Rows, hidden_td: Tensor, lengths_b: Tensor) -> None:
        raise RuntimeError("never")

    loop = BatchLoop(network, CPU, lanes=2, token_budget=1000, max_positions=80)
    with pytest.raises(RuntimeError, match="never"):
        loop.run(chunks_of([5] * 7), harvest, lambda: harvest)


def test_no_chunks(network: Network) -> None:
    gathered, failures = run(network, Chunks(np.zeros(0, np.int32), np.zeros(1, np.int64)), 10)
    assert (gathered.hidden, failures) == ({}, {})
