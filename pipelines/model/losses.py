"""Losses of pretraining as sums over what is told, so that sums of micro-batches and ranks add up to those of a batch.

Shapes: M tokens that are told, n instances, T tokens in all, D width, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from pipelines.text.training_batch import NO_LABEL

LOGITS_BYTES = 256 * 2**20
"""Most bytes of float32 logits that are kept for the backward pass; where there are more, it makes them again."""

Logits = Callable[[Tensor], Tensor]
"""Vectors [M, D] to logits [M, V], in any precision."""


@dataclass(frozen=True)
class LossSum:
    """A loss over ``count`` things that were told: the sum in nats, with a gradient, and how many were told right.

    Both tensors are float32 scalars. The sum over nothing is 0, and so are its gradients.
    """

    sum: Tensor
    count: int
    correct: Tensor


def token_loss(
    logits_of: Logits, hidden_td: Tensor, positions_m: Tensor, targets_m: Tensor, vocab_size: int, count: int
) -> LossSum:
    """How well the vectors at ``positions_m`` tell the targets: logits are made there alone, a piece at a time.

    Vectors are [T, D] with T at least 1, positions and targets int64[M], of which ``count`` are not NO_LABEL.
    """
    if not len(targets_m):  # a row that counts for nothing, so that every weight of the head has a gradient
        return logit_loss(logits_of(hidden_td[:1]), targets_m.new_full((1,), NO_LABEL), 0)
    rows = max(1, LOGITS_BYTES // (4 * vocab_size))
    pieces = list(zip(hidden_td[positions_m].split(rows), targets_m.split(rows), strict=True))
    if len(pieces) == 1:
        return logit_loss(logits_of(pieces[0][0]), targets_m, count)
    again = {"use_reentrant": False, "preserve_rng_state": False}
    told = [checkpoint(_told, logits_of, hidden, targets, **again) for hidden, targets in pieces]
    sums, corrects = (torch.stack(parts) for parts in zip(*told, strict=True))
    return LossSum(sums.sum(), count, corrects.sum())


def logit_loss(logits_mv: Tensor, targets_m: Tensor, count: int) -> LossSum:
    """How well logits tell targets int64[M], of which ``count`` are not NO_LABEL."""
    total, correct = _told(lambda logits: logits, logits_mv, targets_m)
    return LossSum(total, count, correct)


def _told(logits_of: Logits, hidden_md: Tensor, targets_m: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the losses, and how many targets no other token is likelier than."""
    logits_mv = logits_of(hidden_md).float()
    with torch.no_grad():  # on a CPU argmax takes longer than the loss itself, the greatest logit a quarter of that
        told_m = logits_mv.gather(1, targets_m.clamp(min=0)[:, None])[:, 0]
        correct = ((told_m == logits_mv.amax(-1)) & (targets_m != NO_LABEL)).sum().float()
    return cross_entropy(logits_mv, targets_m, ignore_index=NO_LABEL, reduction="sum"), correct
