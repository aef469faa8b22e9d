from __future__ import annotations

from pipelines.train.agreement import Agreed, agree
from pipelines.train.ranks import Ranks
from pipelines.train.source import Share
from tests.train.small import SmallBatch

SHARE = Share(batches=[SmallBatch([2, 4]), SmallBatch([5])], num_tokens=30)


def test_what_one_worker_knows_is_what_all_know() -> None:
    found = agree(SHARE, ("words", "classes"), Ranks(), clock=(7.0, 0.5), keep=True, stop=False)
    assert found == Agreed({"words": 5, "classes": 2}, 30, 7.0, 0.5, keep=True, stop=False)


def test_the_clock_is_the_first_workers() -> None:
    """What they tell each other is added up: all but one tell no time."""

    class Alone(Ranks):
        def sum(self, values: object) -> list[float]:
            return list(values)  # type: ignore[call-overload]

    found = agree(SHARE, ("words", "classes"), Alone(1, 2), clock=(7.0, 0.5), keep=False, stop=True)
    assert (found.seconds, found.step_seconds, found.stop) == (0.0, 0.0, True)
