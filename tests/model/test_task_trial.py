from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification, BertModel
from transformers.modeling_outputs import SequenceClassifierOutput

from pipelines.errors import SpecError
from pipelines.finetune_spec import FinetuneSpec
from pipelines.model.finetuning import KINDS, FinetuningModel
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.model.lesson import Lesson
from pipelines.model.sentence_head import SentenceHead
from pipelines.model.task_network import first_task_network
from pipelines.model.task_trial import check_own_class, still_idle_weights


class Heedless(BertModel):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return super().forward(*args, **{**kwargs, "attention_mask": None})


class HeedlessTagger(BertForTokenClassification):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.bert = Heedless(config, add_pooling_layer=False)
        self.post_init()


class Spare(BertForSequenceClassification):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.spare = nn.Linear(3, 2)
        self.post_init()


class Wide(BertForSequenceClassification):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, 7)
        self.post_init()


class Early(BertForSequenceClassification):
    """Its head reads the first layer, which jobs.predict does not keep."""

    def forward(self, input_ids: Any = None, **kwargs: Any) -> Any:
        found = self.bert(input_ids, output_hidden_states=True, **kwargs)
        layers = found.hidden_states or (None, 2 * found.last_hidden_state)
        return SequenceClassifierOutput(logits=self.classifier(layers[1][:, 0]))


class Failing(BertForSequenceClassification):
    def forward(self, input_ids: Any) -> Any:
        return super().forward(input_ids)


class Mean(BertModel):
    """A network that does serve."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        found = super().forward(*args, **{**kwargs, "output_hidden_states": True})
        found.last_hidden_state = torch.stack(found.hidden_states[-2:]).mean(0)
        return found


def own(folder: ModelFolder, name: str, task: Any = "classification") -> Any:
    paired = {"text_pair": "other"} if task == "embedding" else {}
    spec = FinetuneSpec(model="mine", task=task, model_class=f"{__name__}.{name}", **paired)
    return first_task_network(folder, spec, () if task == "embedding" else ("a", "b"))


@pytest.fixture(scope="module")
def folder(make_folder: Callable[..., Path]) -> ModelFolder:
    """A tiny plain encoder."""
    return read_folder(make_folder())


@pytest.mark.parametrize(
    ("name", "task", "told"),
    [
        ("HeedlessTagger", "token_classification", "HeedlessTagger tells a text otherwise where padding follows"),
        ("Spare", "classification", "has 2 weights that no loss depends on, such as spare.weight: leave them out"),
        ("Wide", "classification", "Wide gives 7 logits for 2 labels: let it give as many"),
        ("Early", "classification", "head of Early says otherwise than the model does: write a forward"),
        ("Failing", "classification", r"Failing fails on two short texts \(TypeError: .*\): its forward is called"),
        ("Mean", "classification", "Mean has no head for classification: name a class with one"),
        ("Spare", "embedding", "Spare has a head, and vectors pass none"),
    ],
)
def test_classes_that_do_not_serve(folder: ModelFolder, name: str, task: str, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        own(folder, name, task)


def test_a_network_of_the_users_own_makes_vectors(folder: ModelFolder) -> None:
    made = own(folder, "Mean", "embedding")
    assert type(made.module) is Mean
    assert made.module.config._attn_implementation == "sdpa"


def small(task: Any, kind: Any = BertForSequenceClassification) -> FinetuningModel:
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=32, initializer_range=0.3)  # fmt: skip
    head = SentenceHead("mean", nn.Sequential(), normalizes=True) if task == "embedding" else None
    count = {"regression": 1, "embedding": 0}.get(task, 2)
    config.num_labels = max(1, count)
    return FinetuningModel(kind(config), Lesson(task=task, num_logits=count), sentence_head=head)


def test_weights_that_no_loss_depends_on_learn_nothing() -> None:
    model = small("embedding", BertModel).train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    idle = still_idle_weights(model)
    assert idle == ("module.pooler.dense.weight", "module.pooler.dense.bias")
    assert {name for name, weight in model.named_parameters() if not weight.requires_grad} == set(idle)
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("task", [task for task, kind in KINDS.items() if kind == "sequence"])
def test_what_serves_stays_as_it_was(task: Any) -> None:
    model = small(task).train()
    check_own_class(model)
    assert model.training
    assert still_idle_weights(model) == ()
