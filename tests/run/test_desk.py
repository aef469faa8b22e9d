from __future__ import annotations

import ray

from pipelines.run.desk import Desk, open_desk


def test_events_are_taken_once_and_in_order() -> None:
    desk = Desk()
    assert desk.tell([{"step": 1}, {"step": 2}]) == ""
    desk.tell([{"step": 3}])
    assert desk.take() == [{"step": 1}, {"step": 2}, {"step": 3}]
    assert desk.take() == []


def test_whoever_tells_hears_what_is_asked() -> None:
    desk = Desk()
    assert desk.asked() == ""
    desk.ask("stop")
    assert desk.tell([]) == "stop"
    assert desk.asked() == "stop"


def test_a_desk_is_an_actor_that_needs_no_cpu(ray_session: None) -> None:
    free = ray.available_resources().get("CPU")
    desk = open_desk()
    ray.get(desk.tell.remote([{"kind": "start"}]))
    assert ray.get(desk.take.remote()) == [{"kind": "start"}]
    assert ray.available_resources().get("CPU") == free
    ray.kill(desk)
