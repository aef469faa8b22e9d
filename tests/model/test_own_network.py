from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertForMaskedLM, BertModel

from pipelines.errors import SpecError
from pipelines.model.architecture import Architecture
from pipelines.model.first_weights import first_weights
from pipelines.model.objectives import TRAINED
from pipelines.model.own_network import check_own_network
from pipelines.model.pretraining import PretrainingModel

SMALL = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "pad_token_id": 0,
         "intermediate_size": 48, "d_kv": 8, "d_ff": 48}  # fmt: skip


class Heedless(BertModel):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return super().forward(*args, **{**kwargs, "attention_mask": None})


class HeedlessLM(BertForMaskedLM):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.bert = Heedless(config, add_pooling_layer=False)
        self.post_init()


class WithSpareWeights(BertForMaskedLM):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.spare = nn.Linear(3, 2)
        self.frozen = nn.Linear(3, 2).requires_grad_(False)
        self.post_init()


class Failing(BertModel):
    def forward(self, input_ids: Any) -> Any:
        return super().forward(input_ids)


class FailingLM(BertForMaskedLM):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.bert = Failing(config, add_pooling_layer=False)
        self.post_init()


def own(name: str) -> PretrainingModel:
    architecture = Architecture(name="own", config={"model_type": "bert", **SMALL})
    return PretrainingModel(first_weights(architecture, "mlm", seed=0, model_class=f"{__name__}.{name}").module, "mlm")


@pytest.mark.parametrize(("family", "objective"), [(f, TRAINED[f][0]) for f in ("bert", "albert", "gpt2", "t5")])
@pytest.mark.parametrize("packed", [False, True])
def test_what_can_be_trained_stays_as_it_was(family: str, objective: Any, packed: bool) -> None:
    architecture = Architecture(name="own", config={"model_type": family, **SMALL})
    model = PretrainingModel(first_weights(architecture, objective, seed=0).module, objective, packed=packed).train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    check_own_network(model)
    assert model.training
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("HeedlessLM", "HeedlessLM gives a text another loss where padding follows: let its forward heed"),
        ("WithSpareWeights", "has 2 weights that no loss depends on, such as spare.weight: leave them out"),
        ("FailingLM", r"FailingLM fails on two short texts \(TypeError: .*\): its network's forward is called with"),
    ],
)
def test_what_cannot_be_is_refused(name: str, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        check_own_network(own(name))
