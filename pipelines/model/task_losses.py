"""Losses of fine-tuning as sums over what is told, so that sums of micro-batches and ranks add up to those of a batch.

Each task's loss is one of ``LossSum``; where there is no right and wrong, ``correct`` is NaN.

Shapes: n examples of T tokens in all, L classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cosine_similarity, cross_entropy, mse_loss
from torch.nn.utils.rnn import pad_sequence

from pipelines.model.losses import LossSum
from pipelines.text.training_batch import NO_LABEL


def class_loss(
    logits_nl: Tensor, targets_n: Tensor, count: int, weights_l: Tensor | None = None, smoothing: float = 0.0
) -> LossSum:
    """Cross-entropy of int64[n], of which ``count`` are not NO_LABEL. None: all classes count 1.

    Smoothing spreads a share of the target evenly over all classes (Szegedy et al. 2016, arXiv:1512.00567, section 7);
    a class's weight counts wherever a share lies on it, as torch has it.
    """
    logits_nl = logits_nl.float()
    total = cross_entropy(
        logits_nl, targets_n, weights_l, ignore_index=NO_LABEL, reduction="sum", label_smoothing=smoothing
    )
    return LossSum(total, count, _told_right(logits_nl, targets_n).sum().float())


def classes_loss(logits_nl: Tensor, targets_nl: Tensor) -> LossSum:
    """Binary cross-entropy of each of n * L yes or no; right is what the greater probability says."""
    logits_nl = logits_nl.float()
    total = binary_cross_entropy_with_logits(logits_nl, targets_nl, reduction="sum")
    return LossSum(total, targets_nl.numel(), ((logits_nl.detach() > 0) == (targets_nl > 0)).sum().float())


def value_loss(values_n: Tensor, targets_n: Tensor) -> LossSum:
    """Squared error of float32[n]."""
    total = mse_loss(values_n.float(), targets_n, reduction="sum")
    return LossSum(total, len(targets_n), torch.full_like(total, torch.nan, requires_grad=False))


def score_loss(anchors_nd: Tensor, positives_nd: Tensor, scores_n: Tensor) -> LossSum:
    """Squared error of the cosine of two texts' vectors to their score (Reimers and Gurevych 2019, section 3)."""
    return value_loss(cosine_similarity(anchors_nd.float(), positives_nd.float()), scores_n)


def answer_loss(logits_t2: Tensor, targets_n2: Tensor, lengths: list[int]) -> LossSum:
    """Mean of the cross-entropies of an answer's first and last token among its window's (arXiv:1810.04805, 4.2).

    Windows have so many tokens each, T in all. Right is an answer both of whose ends are told.
    """
    logits_t2 = logits_t2.float()
    if not lengths:
        return LossSum(logits_t2.sum(), 0, logits_t2.detach().sum())
    logits_ns2 = pad_sequence(list(logits_t2.split(lengths)), batch_first=True, padding_value=-torch.inf)
    total = cross_entropy(logits_ns2, targets_n2, reduction="sum") / 2
    return LossSum(total, len(lengths), _told_right(logits_ns2, targets_n2).all(1).sum().float())


def _told_right(logits: Tensor, targets: Tensor) -> Tensor:
    """Whether no other class is likelier than the target: logits [n, L, ...] of targets [n, ...]."""
    with torch.no_grad():  # on a CPU argmax takes longer than the loss itself, the greatest logit a quarter of that
        told = logits.gather(1, targets.clamp(min=0).unsqueeze(1)).squeeze(1)
        return (told == logits.amax(1)) & (targets != NO_LABEL)
