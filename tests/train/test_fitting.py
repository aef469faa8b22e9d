from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipelines.errors import SpecError
from pipelines.model.device import CPU_TOKEN_BUDGET
from pipelines.text.objectives import Task
from pipelines.text.training_batch import TrainingBatch
from pipelines.train.fitting import fitting, made_up, training_budget
from tests.train.small_bert import VOCABULARY, network

MOST = 65_536
TASK = Task(objective="mlm+nsp", vocabulary=VOCABULARY, seed=0)


def trial(tokens: int) -> TrainingBatch:
    """What the small network is tried with."""
    return TASK.batch(made_up(SimpleNamespace(max_position_embeddings=64), TASK, tokens))


def memory(fixed: int, a_token: int, there_is: int = 10**12) -> Callable[[int], int]:
    """What is taken, and an error where that is more than there is."""

    def peak(tokens: int) -> int:
        if fixed + a_token * tokens > there_is:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return fixed + a_token * tokens

    return peak


@pytest.mark.parametrize(
    ("room", "tokens"),
    [
        (1000 + 10 * 20_000, 16_384),
        (1000 + 10 * 32_768, 32_768),
        (1000 + 10 * 32_767, 16_384),
        (1000 + 10 * 10**6, MOST),
        (1000 + 10 * 8192, 8192),
        (1000 + 10 * 8191, 4096),
        (1000 + 10 * 1500, 1024),
    ],
)
def test_the_most_that_fits_is_told_by_two_trials(room: int, tokens: int) -> None:
    assert fitting(memory(1000, 10), room, MOST) == tokens


def test_trials_that_do_not_fit_themselves() -> None:
    assert fitting(memory(1000, 10, there_is=1000 + 10 * 3000), 10**12, MOST) == 2048
    with pytest.raises(SpecError, match="not even 512 tokens of a micro-batch fit on the GPU: set train"):
        fitting(memory(1000, 10, there_is=2000), 10**12, MOST)


def test_other_errors_are_not_taken_for_memory() -> None:
    def fail(tokens: int) -> int:
        raise RuntimeError("device-side assert")

    with pytest.raises(RuntimeError, match="device-side"):
        fitting(fail, 10**12, MOST)


def test_a_wish_is_a_wish_and_a_cpu_has_memory() -> None:
    model = network(0.0)
    assert training_budget(700, model, trial, "float32") == 700
    assert training_budget("auto", model, trial, "float32") == CPU_TOKEN_BUDGET


def test_what_is_tried_is_as_long_as_it_can_be_and_tells_something() -> None:
    made = made_up(SimpleNamespace(max_position_embeddings=64), TASK, 640)
    assert (len(made), set(made.lengths.tolist())) == (10, {64})
    assert made.values.min() >= 5
    batch = TASK.batch(made)
    assert batch.counts()["nsp"] == 10
    assert 60 < batch.counts()["mlm"] < 130
    assert set(made_up(SimpleNamespace(), TASK, 4096).lengths) == {512}
    assert np.isfinite(network(0.0)(batch)["mlm"].sum.item())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_what_fits_on_a_gpu_is_trained_on() -> None:
    model = network(0.1).to("cuda")
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    assert training_budget("auto", model, trial, "bfloat16") >= 4096
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())
