from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import ray

from pipelines.run.trainings.desk import open_desk
from pipelines.train.events import Checkpointed, Evaluated, Warned
from pipelines.train.line import Line, told


@pytest.fixture
def desk(ray_session: None) -> Any:
    handle = open_desk()
    yield handle
    ray.kill(handle)


def wait_for(seen: Callable[[], bool]) -> None:
    """Return once this is so; pytest's own timeout ends what never is."""
    import time

    while not seen():
        time.sleep(0.01)


def test_what_happens_comes_to_the_desk_in_order(desk: Any) -> None:
    with Line(desk, is_first=True) as line:
        for number in range(20):
            line.send({"event": "stepped", "step": number})
    assert [event["step"] for event in ray.get(desk.take.remote())] == list(range(20))


def test_a_checkpoint_that_is_asked_for_is_wanted_once(desk: Any) -> None:
    with Line(desk, is_first=True, poll_seconds=0.01) as line:
        assert not line.should_keep()
        ray.get(desk.ask_checkpoint.remote())
        wait_for(line.should_keep)
        assert not line.should_keep()
        assert not line.should_stop()
        ray.get(desk.ask_stop.remote())
        wait_for(line.should_stop)
        assert line.should_stop()


def test_workers_that_start_again_were_not_asked(desk: Any) -> None:
    ray.get(desk.ask_checkpoint.remote())
    with Line(desk, is_first=True, poll_seconds=0.01) as line:
        ray.get(desk.tell.remote([]))
        assert not line.should_keep()
        ray.get(desk.ask_checkpoint.remote())
        wait_for(line.should_keep)


def test_another_worker_than_the_first_looks_for_notice_alone() -> None:
    notice = [False]
    with Line(None, is_first=False, has_notice=lambda: notice[0]) as line:
        assert not line.should_keep()
        notice[0] = True
        assert line.should_keep()
        assert not line.should_keep()
        assert not line.should_stop()


def test_events_are_told_by_their_kind_and_facts() -> None:
    evaluated = Evaluated(
        step=3,
        position=24,
        tokens=99,
        losses={"mlm": 0.0},
        accuracies={"mlm": 1.0},
        counts={"mlm": 7},
        seconds=0.5,
        merit=0.0,
    )
    assert told(evaluated) == {"event": "evaluated", **evaluated.row()}
    assert told(Warned(message="so")) == {"event": "warned", "message": "so"}
    kept = Checkpointed(step=3, uri="/o", num_bytes=5, seconds=0.1)
    assert told(kept) == {"event": "checkpointed", "step": 3, "uri": "/o", "num_bytes": 5, "seconds": 0.1}
