"""Wall time by phase, told by a clock that the test winds."""

from __future__ import annotations

import io

from pipelines.run.phases import Phases
from pipelines.run.progress import Progress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_phase_has_its_own_time_and_the_one_under_way_counts() -> None:
    clock, progress = Clock(), Progress(mode="none", stream=io.StringIO())
    phases = Phases(progress, clock)
    assert phases.seconds == {}
    clock.now += 5  # before the first phase nothing is timed
    phases.enter("plan")
    clock.now += 2
    assert phases.seconds == {"plan": 2.0}
    phases.enter("encode")
    clock.now += 3
    phases.enter("plan")
    clock.now += 1
    assert phases.seconds == {"plan": 3.0, "encode": 3.0}
    assert progress.state.phase == "plan"
