from __future__ import annotations

import ray

from pipelines.run.trainings.desk import Desk, open_desk


def test_events_are_taken_once_and_in_order() -> None:
    desk = Desk()
    first, second, third = ({"event": "stepped", "step": step} for step in (1, 2, 3))
    desk.tell([first, second])
    desk.tell([third])
    assert desk.take() == [first, second, third]
    assert desk.take() == []


def test_what_is_asked_lies_there_for_workers_that_come_later_too() -> None:
    desk = Desk()
    assert desk.asked() == (False, 0)
    desk.ask_checkpoint()
    desk.ask_checkpoint()
    assert desk.asked() == (False, 2)
    desk.ask_stop()
    assert desk.asked() == desk.asked() == (True, 2)


def test_the_desk_knows_who_is_at_work_and_what_was_kept() -> None:
    desk = Desk()
    assert desk.kept() == (False, 0)
    desk.tell([{"event": "began"}, {"event": "checkpointed"}, {"event": "stepped"}])
    assert desk.kept() == (True, 1)
    desk.tell([{"event": "failed"}])
    assert desk.kept() == (False, 1)
    desk.tell([{"event": "began"}, {"event": "checkpointed"}])
    assert desk.kept() == (True, 2)
    desk.tell([{"event": "ended"}])
    assert desk.kept() == (False, 2)


def test_beginnings_are_counted() -> None:
    desk = Desk()
    assert [desk.begin(), desk.begin()] == [0, 1]


def test_a_desk_is_an_actor_that_needs_no_cpu(ray_session: None) -> None:
    free = ray.available_resources().get("CPU")
    desk = open_desk()
    ray.get(desk.tell.remote([{"event": "began"}]))
    assert ray.get(desk.take.remote()) == [{"event": "began"}]
    assert ray.available_resources().get("CPU") == free
    ray.kill(desk)
