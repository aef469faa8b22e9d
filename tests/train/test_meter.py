from __future__ import annotations

import math
from dataclasses import asdict

from pipelines.train.meter import Meter, Tally
from pipelines.train.ranks import Ranks


def test_steps_add_up_to_means_over_what_was_told() -> None:
    meter = Meter(("words", "classes"), Ranks())
    meter.note({"words": 3, "classes": 0}, tokens=10, waited=0.5, flops=100.0)
    meter.fold([6.0, 1.0, 0.0, 0.0])
    meter.note({"words": 1, "classes": 0}, tokens=20, waited=0.25, flops=50.0)
    meter.fold([4.0, 1.0, 0.0, 0.0])
    tally = meter.tally
    assert (tally.steps, tally.tokens, tally.waited, tally.flops) == (2, 30, 0.75, 150.0)
    assert tally.means() == ({"words": 2.5}, {"words": 0.5})
    meter.begin()
    assert meter.tally == Tally()


def test_what_has_no_right_and_wrong_has_no_accuracy() -> None:
    tally = Tally(counts={"value": 2, "class": 4}, sums={"value": 3.0, "class": 2.0})
    tally.correct = {"value": math.nan, "class": 3.0}
    assert tally.means() == ({"value": 1.5, "class": 0.5}, {"class": 0.75})


def test_a_tally_is_plain_values() -> None:
    tally = Tally(steps=2, counts={"words": 3}, sums={"words": 1.5}, correct={"words": 1.0})
    assert Tally(**asdict(tally)) == tally
