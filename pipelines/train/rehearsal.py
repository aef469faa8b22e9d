"""A loss of the texts of all workers at once, though each micro-batch goes through the network alone.

Gradients are cached (Gao et al. 2021, arXiv:2101.06983, section 3.2): first the vectors of all micro-batches are made,
without gradients, and exchanged between the workers; of them all comes the loss, and its gradient by each vector. Then
each micro-batch goes through the network again, with the dropout that it had, and takes its vectors' gradients on to
the weights. So neither the number of workers nor the cut decides what a text is told from. Where every worker has one
micro-batch its first pass, with gradients, is the only one.

Shapes: m texts of a micro-batch, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from pipelines.model.contrast import ANCHOR, Roles, slopes
from pipelines.model.finetuning import LossOf
from pipelines.model.losses import LossSum
from pipelines.text.example_batch import ExampleBatch
from pipelines.train.ranks import Ranks


def rehearse(
    batches: Sequence[ExampleBatch], temperature: float, ranks: Ranks, vectors_of: Callable[[int], Tensor]
) -> list[LossOf]:
    """Of each micro-batch how its vectors make its part of the loss over all of them; all workers call it.

    ``vectors_of`` makes the vectors of the micro-batch of this number, [m, D], as they will be made afterwards.
    """
    roles = [Roles.of(batch) for batch in batches]
    if not ranks.sum([len(batches) > 1])[0]:
        return [lambda vectors_md: _parts([vectors_md], roles, temperature, ranks)[0](vectors_md)]
    with torch.no_grad():
        vectors = [vectors_of(index) for index in range(len(batches))]
    return _parts(vectors, roles, temperature, ranks)


def _parts(vectors: Sequence[Tensor], roles: Sequence[Roles], temperature: float, ranks: Ranks) -> list[LossOf]:
    """Each worker makes the loss over all texts; its own micro-batches' parts of that."""
    own = torch.cat([rows.detach().float() for rows in vectors])
    known = ranks.gathered(Roles.joined(roles))
    rows = ranks.rows(own, [len(one) for one in known])
    found, slopes_md = slopes(torch.cat(rows), Roles.joined(known), temperature)
    anchors = [_anchors(one) for one in known]
    first, texts = sum(anchors[: ranks.rank]), [len(one) for one in roles]
    told = slice(first, first + anchors[ranks.rank])
    counts = [_anchors(one) for one in roles]
    begin = sum(map(len, rows[: ranks.rank]))
    cut = zip(
        slopes_md[begin : begin + len(own)].split(texts),
        found.losses[told].split(counts),
        found.correct[told].split(counts),
        strict=True,
    )
    return [partial(_part, slope, losses, correct) for slope, losses, correct in cut]


def _part(slopes_md: Tensor, losses: Tensor, correct: Tensor, vectors_md: Tensor) -> LossSum:
    """A sum whose value is that of the losses, and whose gradient by the vectors is as given."""
    carrier = (vectors_md * slopes_md).sum()
    return LossSum(carrier + (losses.sum() - carrier.detach()), len(losses), correct.sum().float())


def _anchors(roles: Roles) -> int:
    return int(np.count_nonzero(roles.places == ANCHOR))
