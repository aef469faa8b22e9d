from __future__ import annotations

import pytest
import torch

from pipelines.train.evaluation import LossEvaluator
from pipelines.train.ranks import Ranks
from tests.train.small import SmallBatch, SmallModel

LOSSES = ("words", "classes")


def test_means_are_those_of_the_batches_without_dropout() -> None:
    model = SmallModel(dropout=0.5)
    batches = [SmallBatch([2, 4]), SmallBatch([5])]
    told = LossEvaluator(model, LOSSES, "float32")(batches, Ranks())
    assert told is not None
    assert told.counts == {"words": 5, "classes": 2}
    with torch.no_grad():
        found = [model(batch) for batch in batches]
    for name in LOSSES:
        assert told.losses[name] == sum(one[name].sum.double() for one in found).item() / told.counts[name]
        assert told.accuracies[name] == sum(one[name].correct for one in found).item() / told.counts[name]
    assert told.merit == pytest.approx(-told.losses["words"] - told.losses["classes"])
    assert told.metrics == {}
    assert all(weight.grad is None for weight in model.parameters())


def test_nothing_is_held_out() -> None:
    assert LossEvaluator(SmallModel(), LOSSES, "float32")([], Ranks()) is None
