"""How well an encoder and its decoder write the spans that a text lacks (Raffel et al. 2020, arXiv:1910.10683, 3.1.4).

Shapes: n instances, S tokens of the longest text, R of the longest target, M of all targets, V of the vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipelines.model.losses import LossSum, logit_loss
from pipelines.model.training_inputs import to_device
from pipelines.text.pack import pad_batch
from pipelines.text.training_batch import NO_LABEL, TrainingBatch


def span_loss(module: Any, batch: TrainingBatch, pad_id: int, device: torch.device) -> LossSum:
    """The decoder reads each target behind its start token, and tells at each place the token that follows.

    ``module`` is a ...ForConditionalGeneration; the batch has at least one instance.
    """
    assert batch.target_offsets is not None
    rows = np.arange(len(batch.offsets) - 1)
    ids_ns, mask_ns = _tensors(batch.values, batch.offsets, rows, pad_id, device)
    told_nr, told_mask_nr = _tensors(batch.targets, batch.target_offsets, rows, pad_id, device)
    if not told_nr.shape[1]:  # nothing to write: one place that counts for nothing, so that each weight has a gradient
        told_nr, told_mask_nr = (torch.ones_like(ids_ns[:, :1]) for _ in range(2))
    start_n1 = torch.full_like(told_nr[:, :1], module.config.decoder_start_token_id)
    logits_nrv = module(
        input_ids=ids_ns, attention_mask=mask_ns, decoder_input_ids=torch.cat([start_n1, told_nr[:, :-1]], dim=1),
        decoder_attention_mask=told_mask_nr, use_cache=False, return_dict=True,
    ).logits  # fmt: skip
    count = len(batch.targets)
    told_m = told_nr[told_mask_nr.bool()]
    return logit_loss(logits_nrv[told_mask_nr.bool()], told_m if count else torch.full_like(told_m, NO_LABEL), count)


def _tensors(values: Any, offsets: Any, rows: Any, pad_id: int, device: torch.device) -> tuple[Tensor, Tensor]:
    ids, mask = pad_batch(values, offsets, rows, pad_id)
    return to_device(ids, device), to_device(mask, device)
