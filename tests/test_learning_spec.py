from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.learning_spec import LearningSpec, TrainPool, seconds_of


@pytest.mark.parametrize(
    ("time", "seconds"), [("", 0), ("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5d", 129600)]
)
def test_times_are_read(time: str, seconds: float) -> None:
    assert seconds_of(time) == seconds


@pytest.mark.parametrize("time", ["2", "h", "2 h", "-1h", "2w", "1h!"])
def test_what_is_no_time_is_refused(time: str) -> None:
    with pytest.raises(SpecError, match=r"time_budget is .*: write a time such as 90s, 30m, 2h or 1h30m"):
        LearningSpec(time_budget=time)


def test_a_training_has_one_length() -> None:
    with pytest.raises(SpecError, match="no length of the training: write one of max_steps, max_tokens and time_b"):
        LearningSpec()
    with pytest.raises(SpecError, match="max_steps=10 and time_budget=2h: write one of"):
        replace(LearningSpec(max_steps=10), time_budget="2h")
    assert replace(LearningSpec(max_steps=10), max_steps=0, time_budget="2h").budget_seconds == 7200


@pytest.mark.parametrize(("workers", "found"), [(1, (1, 1)), ("4", (4, 4)), ("2-8", (2, 8))])
def test_workers_are_a_number_or_a_range(workers: int | str, found: tuple[int, int]) -> None:
    pool = TrainPool(workers=workers)
    assert pool.worker_range == found
    assert pool.is_elastic == (found[0] < found[1])


@pytest.mark.parametrize("workers", [0, "8-2", "two", "2-", ""])
def test_other_workers_are_refused(workers: int | str) -> None:
    with pytest.raises(SpecError, match=r"workers is .*: write a number of at least 1, or a range such as 2-8"):
        TrainPool(workers=workers)


@pytest.mark.parametrize(
    "field", [{"keep": 0}, {"log_steps": 0}, {"token_budget": 0}, {"num_cpus": -1}, {"max_failures": -2}]
)
def test_a_pool_is_refused_by_field_and_value(field: dict[str, Any]) -> None:
    ((name, value),) = field.items()
    with pytest.raises(SpecError, match=f"TrainPool.{name} is {value}"):
        TrainPool(**field)


def test_a_pool_needs_checkpoints_and_a_gpu_for_cuda() -> None:
    with pytest.raises(SpecError, match="a training needs checkpoints"):
        TrainPool(checkpoint_steps=0, checkpoint_minutes=0)
    with pytest.raises(SpecError, match="cannot use cuda"):
        TrainPool(device="cuda", num_gpus=0)
