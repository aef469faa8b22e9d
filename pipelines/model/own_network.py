"""Whether a class of the user's own can be trained, tried on two short instances before anything is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from pipelines.errors import MantaError, SpecError
from pipelines.model.losses import LossSum
from pipelines.model.pretraining import PretrainingModel
from pipelines.model.refusal import reason
from pipelines.text.training_batch import TrainingBatch

LARGEST_ERROR = 1e-4
"""By which losses may differ between instances together and one by one; padding that is not masked makes 7e-4."""


def check_own_network(model: PretrainingModel) -> None:
    """SpecError where it fails, is misled by padding, or has weights without a gradient, which other workers wait for.

    It is on the CPU, where float32 is that; it stays as it was, without gradients.
    """
    batch = _two_instances(model)
    training = model.training
    try:
        together = model.eval()(batch)
        alone = [model(_one(batch, row)) for row in (0, 1)]
        torch.stack([loss.sum for loss in together.values()]).sum().backward()
    except MantaError:
        raise
    except Exception as error:  # whatever a class of the user's does
        raise SpecError(
            f"{_name(model)} fails on two short texts ({reason(error)}): its network's forward is called with "
            "input_ids, attention_mask and return_dict, let it take these and further keywords"
        ) from error
    idle = [name for name, weight in model.module.named_parameters() if weight.requires_grad and weight.grad is None]
    model.zero_grad(set_to_none=True)
    model.train(training)
    if idle:
        raise SpecError(
            f"{_name(model)} has {len(idle)} weights that no loss depends on, such as {idle[0]}: leave them out, or "
            "set their requires_grad to False"
        )
    if not all(_same(loss, [other[name] for other in alone]) for name, loss in together.items()):
        raise SpecError(
            f"{_name(model)} gives a text another loss where padding follows: let its forward heed attention_mask"
        )


def _two_instances(model: PretrainingModel) -> TrainingBatch:
    """Three tokens and two, of which one each is told."""
    first, second = [token for token in range(3) if token != model.network.pad_id][:2]
    span = model.objective == "span"
    return TrainingBatch(
        objective=model.objective,
        values=np.array([first, second, first, second, first], np.int32),
        offsets=np.array([0, 3, 5]),
        segment_b_start=np.zeros(2, np.int32),
        positions=np.array([] if span else [1, 3], np.int64),
        targets=np.array([second, first]),
        sentence_labels=np.array([0, 1] if "+" in model.objective else [-100, -100]),
        target_offsets=np.array([0, 1, 2]) if span else None,
    )


def _one(batch: TrainingBatch, row: int) -> TrainingBatch:
    """One of the two instances alone."""
    start, stop = batch.offsets[row : row + 2]
    return replace(
        batch,
        values=batch.values[start:stop],
        offsets=np.array([0, stop - start]),
        segment_b_start=batch.segment_b_start[row : row + 1],
        positions=batch.positions[row : row + 1] - start,
        targets=batch.targets[row : row + 1],
        sentence_labels=batch.sentence_labels[row : row + 1],
        target_offsets=None if batch.target_offsets is None else np.array([0, 1]),
    )


def _same(together: LossSum, alone: list[LossSum]) -> bool:
    total = torch.stack([loss.sum for loss in alone]).sum()
    return torch.allclose(together.sum, total, rtol=0, atol=LARGEST_ERROR)


def _name(model: PretrainingModel) -> Any:
    return type(model.module).__name__
