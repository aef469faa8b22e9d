"""Ray Train itself, on two workers of gloo: what of a killed rank, and of an error of ours, comes to the driver."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import ray

from pipelines.errors import SpecError, StoreError
from pipelines.run.trainings.crew import Crew
from pipelines.run.trainings.desk import open_desk
from pipelines.run.trainings.trainer import Fit, Foresight, launch, reason, root
from pipelines.train.line import notice_from_ray

KEEPING_OUT = {"manta-pool": "!train"}
TWO = Crew(least=2, most=2, num_cpus=1, num_gpus=0, num_threads=1, label_selector=KEEPING_OUT)


class Dead(Exception):
    """As Ray tells of a worker that died."""

    health_check_failure = RuntimeError("no answer")


def work(config: dict[str, Any]) -> None:
    """Rank 1 is killed the first time; the second time rank 0 finds something wrong, while rank 1 waits for it."""
    import torch
    import torch.distributed as dist
    from ray.train import get_context

    rank, mark = get_context().get_world_rank(), Path(config["folder"], "been here")
    ray.get(config["desk"].tell.remote([{"event": "began", "rank": rank, "notice": notice_from_ray()}]))
    second = mark.exists()
    dist.barrier()
    if rank == 1 and not second:
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if rank == 0 and second:
        raise SpecError("fact: remedy")
    dist.all_reduce(torch.ones(1))


@pytest.mark.timeout(300)
def test_a_killed_rank_is_started_again_and_an_error_of_ours_is_not(ray_session: None, tmp_path: Path) -> None:
    desk = open_desk()
    fit = launch(work, {"desk": desk, "folder": str(tmp_path)}, TWO, desk=desk, run="test-trainer", max_failures=5)
    while not fit.wait(0.2):
        pass
    told = ray.get(desk.take.remote())
    assert [event["event"] for event in told] == ["began", "began", "failed", "began", "began", "failed"]
    assert [event["notice"] for event in told if event["event"] == "began"] == [False] * 4
    assert told[2]["rank"] == 1
    assert "its process died" in told[2]["reason"]
    assert (told[5]["rank"], told[5]["reason"]) == (0, "SpecError: fact: remedy")
    with pytest.raises(SpecError, match=r"^fact: remedy$"):
        fit.raise_error()


def test_a_resize_waits_for_a_checkpoint_of_those_at_work(ray_session: None) -> None:
    desk = open_desk()
    foresight = Foresight(desk, patience_seconds=60)
    foresight.before_controller_execute_resize_decision(None)  # the first workers: nobody is at work
    assert ray.get(desk.asked.remote()) == (False, 0)
    ray.get(desk.tell.remote([{"event": "began"}]))
    waiting = threading.Thread(target=foresight.before_controller_execute_resize_decision, args=(None,))
    waiting.start()
    while ray.get(desk.asked.remote()) == (False, 0):
        time.sleep(0.01)
    assert waiting.is_alive()
    ray.get(desk.tell.remote([{"event": "checkpointed"}]))
    waiting.join(60)
    assert not waiting.is_alive()
    Foresight(desk, patience_seconds=0).before_controller_execute_resize_decision(None)  # it does not wait for ever
    ray.kill(desk)


def test_the_root_of_a_failure_is_found_among_what_follows_from_it() -> None:
    follows, died = RuntimeError("Connection closed by peer"), Dead("worker 2")
    assert root({0: follows, 1: follows, 2: died}) == (2, died)
    ours = StoreError("disk full")
    assert root({0: died, 1: ours}) == (1, ours)
    assert root({1: follows, 0: follows}) == (0, follows)


def test_a_reason_is_one_line() -> None:
    assert reason(RuntimeError("a\n  b")) == "RuntimeError: a b"
    assert reason(KeyError()) == "KeyError"
    assert reason(Dead("x")).startswith("its process died")
    taken = Dead("x")
    taken.health_check_failure = type("Lost", (Exception,), {"preempted": True})()
    assert reason(taken) == "its node was taken away"


def test_a_training_that_failed_too_often_can_be_resumed() -> None:
    error = RuntimeError("Training failed")
    error.worker_failures = {0: RuntimeError("Connection closed"), 1: Dead("x")}  # type: ignore[attr-defined]
    done = []

    def fit() -> None:
        raise error

    over = Fit(fit, lambda: done.append("cleaned"))
    assert over.wait(10)
    with pytest.raises(StoreError, match=r"the training failed: its process died .* run again with --resume"):
        over.raise_error()
    assert done == ["cleaned"]
