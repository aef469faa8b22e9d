"""A worker alone, in this process: the desk is a real one, Ray Train is not there."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from transformers import AutoModelForPreTraining

from pipelines.errors import LeaseError
from pipelines.learning_spec import TrainPool
from pipelines.run.trainings.desk import open_desk
from pipelines.store.lease import hold
from pipelines.train.checkpoints import committed_steps
from pipelines.train.ranks import Ranks
from pipelines.train.worker import attend
from tests.train.given import assignment

POOL = TrainPool(checkpoint_steps=4, eval_steps=3, log_steps=2)


@pytest.fixture
def desk(ray_session: None) -> Any:
    handle = open_desk()
    yield handle
    ray.kill(handle)


def kinds(desk: Any) -> list[tuple[str, int]]:
    told = ray.get(desk.take.remote())
    return [(event["event"], event["step"]) for event in told]


def test_a_worker_trains_to_the_end_and_delivers(desk: Any, prepared: Path, config: Path, tmp_path: Path) -> None:
    given = assignment(prepared, tmp_path / "model", config, POOL)
    attend(given, desk, Ranks())
    assert kinds(desk) == [
        ("began", 0), ("stepped", 2), ("evaluated", 3), ("stepped", 4), ("checkpointed", 4), ("stepped", 6),
        ("evaluated", 6), ("checkpointed", 6), ("ended", 6),
    ]  # fmt: skip
    AutoModelForPreTraining.from_pretrained(tmp_path / "model")
    attend(given, desk, Ranks())  # as after a failure at the very end
    assert kinds(desk) == [("began", 6), ("ended", 6)]


def test_a_worker_that_is_to_stop_keeps_a_checkpoint_and_delivers_nothing(
    desk: Any, prepared: Path, config: Path, tmp_path: Path
) -> None:
    given = assignment(prepared, tmp_path / "model", config, POOL, max_steps=10**6)
    worker = threading.Thread(target=attend, args=(given, desk, Ranks()))
    worker.start()
    seen: list[tuple[str, int]] = []
    while len(seen) < 3:
        seen += kinds(desk)
    ray.get(desk.ask_stop.remote())
    worker.join()
    event, step = [*seen, *kinds(desk)][-1]
    assert event == "ended"
    assert committed_steps(given.output)[-1] == step
    assert not (tmp_path / "model/config.json").exists()


def test_notice_of_a_node_is_a_reason_to_keep_a_checkpoint(
    desk: Any, prepared: Path, config: Path, tmp_path: Path
) -> None:
    pool = replace(POOL, checkpoint_steps=0)
    given = assignment(prepared, tmp_path / "model", config, pool)
    calls = iter([False, False, *[True] * 100])
    attend(given, desk, Ranks(), has_notice=lambda: next(calls))
    assert [step for event, step in kinds(desk) if event == "checkpointed"] == [2, 6]


def test_a_worker_says_what_it_did_not_find(desk: Any, prepared: Path, tiny_model: Path, tmp_path: Path) -> None:
    attend(assignment(prepared, tmp_path / "model", tiny_model, max_steps=1), desk, Ranks())
    warnings = [event["message"] for event in ray.get(desk.take.remote()) if event["event"] == "warned"]
    assert len(warnings) == 1
    assert "next-sentence head" in warnings[0]


def test_a_worker_whose_run_was_followed_by_another_writes_nothing(
    desk: Any, prepared: Path, config: Path, tmp_path: Path
) -> None:
    given = assignment(prepared, tmp_path / "model", config, POOL)
    with hold(given.output, "another", print), pytest.raises(LeaseError, match="run run7 no longer holds"):
        attend(given, desk, Ranks())
    assert committed_steps(given.output) == []
    assert not (tmp_path / "model/config.json").exists()
