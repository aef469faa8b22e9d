from __future__ import annotations

import torch

from pipelines.train.evaluation import evaluate
from pipelines.train.ranks import Ranks
from pipelines.train.step import Stepper
from tests.train.small import ADAM, SmallBatch, SmallModel

LOSSES = ("words", "classes")


def test_sums_are_those_of_the_batches_without_dropout() -> None:
    model = SmallModel(dropout=0.5)
    stepper = Stepper(model, ADAM, losses=LOSSES)
    batches = [SmallBatch([2, 4]), SmallBatch([5])]
    tally = evaluate(stepper, batches, LOSSES, Ranks())
    assert tally.counts == {"words": 5, "classes": 2}
    with torch.no_grad():
        found = [model(batch) for batch in batches]
    for name in LOSSES:
        assert tally.sums[name] == sum(one[name].sum.double() for one in found).item()
        assert tally.correct[name] == sum(one[name].correct for one in found).item()
    assert all(weight.grad is None for weight in model.parameters())


def test_nothing_is_held_out() -> None:
    tally = evaluate(Stepper(SmallModel(), ADAM, losses=LOSSES), [], LOSSES, Ranks())
    assert tally.means() == ({}, {})
