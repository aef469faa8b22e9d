from __future__ import annotations

import pytest

from pipelines.train.schedule import Pace, Schedule


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("linear", [0.0, 0.5, 1.0, 0.5, 0.25, 0.0]),
        ("wsd", [0.0, 0.5, 1.0, 1.0, 1.0, 0.0]),
        ("constant", [0.0, 0.5, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_rates_by_hand(kind: str, expected: list[float]) -> None:
    schedule = Schedule(kind=kind, peak=2.0, warmup=0.2, decay=0.1)  # type: ignore[arg-type]
    rates = [schedule.at(progress) for progress in (0.0, 0.1, 0.2, 0.6, 0.8, 1.0)]
    assert rates == pytest.approx([2.0 * share for share in expected])
    assert Schedule(kind="wsd", peak=2.0, warmup=0.2, decay=0.1).at(0.95) == pytest.approx(1.0)


def test_ends_of_the_range() -> None:
    assert Schedule(kind="linear", peak=1.0, warmup=0.0).at(0.0) == 1.0
    assert Schedule(kind="linear", peak=1.0, warmup=1.0).at(0.5) == 0.5
    assert Schedule(kind="wsd", peak=1.0, warmup=0.0, decay=0.0).at(1.0) == 1.0
    overlapping = Schedule(kind="wsd", peak=1.0, warmup=0.8, decay=1.0)
    assert [overlapping.at(p) for p in (0.4, 0.5, 0.75)] == pytest.approx([0.5, 0.5, 0.25])


def test_progress_is_of_what_the_length_is_given_in() -> None:
    done = {"steps": 3, "tokens": 50, "seconds": 6.0}
    assert Pace(max_steps=12).progress(**done) == 0.25
    assert Pace(max_tokens=100).progress(**done) == 0.5
    assert Pace(max_seconds=8.0).progress(**done) == 0.75
    assert Pace(max_steps=2).progress(**done) == 1.0
