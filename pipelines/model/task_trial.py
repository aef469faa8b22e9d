"""A network with a head for a task, tried on two short texts before anything is read.

Workers wait for each other's gradients of every weight that learns: one that no loss depends on must learn nothing. And
a class of the user's own must be one that learns and predicts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipelines.errors import MantaError, SpecError
from pipelines.model.finetuning import KINDS, FinetuningModel
from pipelines.model.own_head import REMEDY, head_beside
from pipelines.model.refusal import reason
from pipelines.model.training_inputs import vectors
from pipelines.text.example_batch import ExampleBatch

LARGEST_ERROR = 1e-4
"""By which what is told may differ between texts together and one by one; padding that is not masked makes 7e-4."""


def still_idle_weights(model: FinetuningModel) -> tuple[str, ...]:
    """Let weights that no loss depends on learn nothing; their names. Nothing else changes. It is on the CPU."""
    training = model.training
    loss = torch.stack([found.sum for found in model.eval()(_texts(model, [3, 2])).values()]).sum()
    loss.backward()
    named = dict(model.named_parameters())
    idle = tuple(name for name, weight in named.items() if weight.requires_grad and weight.grad is None)
    model.zero_grad(set_to_none=True)
    model.train(training)
    for name in idle:
        named[name].requires_grad_(False)
    return idle


def check_own_class(model: FinetuningModel) -> None:
    """SpecError where a class of the user's own fails, has other labels than the lesson, or is misled by padding.

    So too where ``jobs.predict`` could not run its head on the last vectors of its network. It is on the CPU, padded.
    """
    name, task = type(model.module).__name__, model.lesson.task
    if task in KINDS and model.module.base_model is model.module:
        raise SpecError(
            f"{name} has no head for {task}: name a class with one, derived from its family's ...For"
            "SequenceClassification, ...ForTokenClassification or ...ForQuestionAnswering"
        )
    if task not in KINDS and model.module.base_model is not model.module:
        raise SpecError(f"{name} has a head, and vectors pass none: name the class of its network alone")
    training = model.training
    together, alone, by_head = _tried(model.eval(), name)
    model.train(training)
    if task in KINDS and together.dim() > 1 and together.shape[-1] != model.lesson.num_logits:
        raise SpecError(f"{name} gives {together.shape[-1]} logits for {model.lesson.num_logits} labels: let it give "
                        "as many as config.num_labels says")  # fmt: skip
    if not _same(together, alone):
        raise SpecError(f"{name} tells a text otherwise where padding follows: let its forward heed attention_mask")
    if not _same(together, by_head):
        raise SpecError(f"the head of {name} says otherwise than the model does: {REMEDY}")


@torch.no_grad()
def _tried(model: FinetuningModel, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """What is told of two texts together, of one after the other, and by the head alone."""
    try:
        batch = _texts(model, [3, 2])
        together = model.told(batch)
        alone = torch.cat([model.told(_texts(model, [length])) for length in (3, 2)])
        if model.sentence_head is not None:
            return together, alone, together
        head = head_beside(model.module, KINDS[model.lesson.task])
        by_head = head(vectors(model.network, batch, model.device), batch.values, np.diff(batch.offsets))
        return together, alone, by_head.reshape(together.shape)
    except MantaError:
        raise
    except Exception as error:  # whatever a class of the user's does
        raise SpecError(
            f"{name} fails on two short texts ({reason(error)}): its forward is called with input_ids, attention_mask "
            "and return_dict, and hands further keywords on to its network"
        ) from error


def _texts(model: FinetuningModel, lengths: list[int]) -> ExampleBatch:
    """Texts of so many tokens, each beginning with the same, all of one example where the task has vectors."""
    first, second = [token for token in range(3) if token != model.network.pad_id][:2]
    rows = [np.resize([first, second], length) for length in lengths]
    count, total, num = len(lengths), sum(lengths), max(1, model.lesson.num_logits)
    targets: dict[str, Any] = {
        "multi_label": np.zeros((count, num), np.float32),
        "regression": np.zeros(count, np.float32),
        "token_classification": np.zeros(total, np.int64),
        "question_answering": np.zeros((count, 2), np.int64),
        "embedding": np.zeros(0 if model.lesson.is_contrastive else 1, np.float32),
    }
    is_embedding = model.lesson.task == "embedding"
    return ExampleBatch(
        task=model.lesson.task,
        values=np.concatenate(rows).astype(np.int32),
        offsets=np.cumsum([0, *lengths]),
        segment_b_start=np.zeros(count, np.int32),
        targets=targets.get(model.lesson.task, np.zeros(count, np.int64)),
        number=np.arange(1 if is_embedding else count),
        examples=np.array([0, count]) if is_embedding else None,
    )


def _same(found: Tensor, expected: Tensor) -> bool:
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=0, atol=LARGEST_ERROR)
