from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pipelines.errors import SpecError
from pipelines.train.optimizer import AdamSettings, clip, learned, make_optimizer, parameter_groups, restore, state_of
from tests.train.small import SmallModel

SETTINGS = AdamSettings(weight_decay=0.1, betas=(0.9, 0.99), epsilon=1e-8)


def test_neither_biases_nor_norms_decay() -> None:
    model = SmallModel()
    names = {id(weight): name for name, weight in model.named_parameters()}
    decaying, others = parameter_groups(model, 0.1)
    assert [names[id(weight)] for weight in decaying["params"]] == ["table.weight", "inner.weight", "classes.weight"]
    assert [names[id(w)] for w in others["params"]] == [
        "inner.bias", "norm.weight", "norm.bias", "words.bias", "classes.bias",
    ]  # fmt: skip
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


def test_frozen_weights_are_left_out() -> None:
    model = SmallModel()
    model.table.weight.requires_grad_(False)
    assert "table.weight" not in dict(learned(model))
    assert all(model.table.weight is not w for group in parameter_groups(model, 0.1) for w in group["params"])


def test_one_step_by_hand() -> None:
    """Adam's first step is of the length of the rate, whatever the gradient; decay is apart from it."""
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 2.0)
    nn.init.constant_(model.bias, 2.0)
    optimizer = make_optimizer(model, SETTINGS)
    model(torch.tensor([[3.0]])).sum().backward()
    for group in optimizer.param_groups:
        group["lr"] = 0.5
    optimizer.step()
    assert model.weight.item() == pytest.approx(2.0 * (1 - 0.5 * 0.1) - 0.5)
    assert model.bias.item() == pytest.approx(2.0 - 0.5)


def test_clipping_keeps_the_direction() -> None:
    model = nn.Linear(2, 1, bias=False)
    model.weight.grad = torch.tensor([[3.0, 4.0]])
    assert clip([model.weight], 0.0).item() == 5.0
    assert clip([model.weight], 10.0).item() == 5.0
    assert model.weight.grad.tolist() == [[3.0, 4.0]]
    assert clip([model.weight], 1.0).item() == 5.0
    assert model.weight.grad.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]


def moved(model: nn.Module, steps: int, state: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    optimizer = make_optimizer(model, SETTINGS)
    restore(model, optimizer, state or {})
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    for _ in range(steps):
        optimizer.zero_grad()
        sum((weight**2).sum() for weight in model.parameters()).backward()
        optimizer.step()
    return {name: tensor.clone() for name, tensor in state_of(model, optimizer).items()}


def test_a_state_that_was_put_back_goes_on_as_if_nothing_was() -> None:
    one, two = SmallModel(), SmallModel()
    whole, half = moved(one, 4), moved(two, 2)
    rest = moved(two, 2, half)
    assert rest.keys() == whole.keys()
    assert all(torch.equal(rest[name], whole[name]) for name in whole)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert whole["table.weight.step"].item() == 4
    assert len([name for name in whole if name.startswith("table.weight.")]) == 3
    assert not any(name.startswith("words.weight.") for name in whole)  # it is the table's


def test_nothing_was_moved_yet() -> None:
    model = SmallModel()
    assert state_of(model, make_optimizer(model, SETTINGS)) == {}


def test_the_state_of_another_network_is_refused() -> None:
    state = moved(SmallModel(), 1)
    state["other.exp_avg"] = state["table.weight.exp_avg"]
    with pytest.raises(SpecError, match=r"1 weights are not in this one, such as other\)"):
        moved(SmallModel(), 1, state)


def test_a_weight_that_never_had_a_gradient_has_no_state_to_miss() -> None:
    model = SmallModel()
    model.unused = nn.Parameter(torch.ones(2))
    optimizer = make_optimizer(model, SETTINGS)
    sum((weight**2).sum() for name, weight in model.named_parameters() if name != "unused").backward()
    optimizer.step()
    state = state_of(model, optimizer)
    assert not any(name.startswith("unused") for name in state)
    again = make_optimizer(model, SETTINGS)
    restore(model, again, state)
    assert state_of(model, again).keys() == state.keys()
