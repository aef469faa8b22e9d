from __future__ import annotations

import pytest
import torch
from torch import nn

from pipelines.errors import SpecError
from pipelines.train.weights import put_weights, weights_of
from tests.train.small import SmallModel, flat


def test_weights_come_once_and_go_back() -> None:
    one, two = SmallModel(seed=1), SmallModel(seed=2)
    weights = weights_of(one)
    assert list(weights) == [
        "kept", "table.weight", "inner.weight", "inner.bias", "norm.weight", "norm.bias", "words.bias",
        "classes.weight", "classes.bias",
    ]  # fmt: skip
    assert flat(one).tolist() != flat(two).tolist()
    put_weights(two, weights)
    assert flat(one).tolist() == flat(two).tolist()
    assert two.words.weight is two.table.weight
    one.table.weight.data.zero_()
    assert two.table.weight.abs().sum() > 0


def test_another_network_is_refused_untouched() -> None:
    model = SmallModel()
    before = flat(model).tolist()
    weights = weights_of(SmallModel(seed=1))
    with pytest.raises(SpecError, match=r"1 weights differ, such as classes\.bias"):
        put_weights(model, {**weights, "classes.bias": torch.zeros(3)})
    with pytest.raises(SpecError, match=r"such as inner\.bias"):
        put_weights(model, {name: weight for name, weight in weights.items() if name != "inner.bias"})
    with pytest.raises(SpecError, match="another network"):
        put_weights(nn.Linear(1, 1), weights)
    assert flat(model).tolist() == before
