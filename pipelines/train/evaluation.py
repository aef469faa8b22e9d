"""How well a network does on the held-out instances, and how one evaluation compares with another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import nn

from pipelines.model.device import Precision, autocast
from pipelines.train.meter import Tally
from pipelines.train.ranks import Ranks
from pipelines.train.source import Batch
from pipelines.train.step import told_of


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an evaluation came to, the same on all workers."""

    losses: Mapping[str, float]
    """Mean loss by name."""
    accuracies: Mapping[str, float]
    """Share that was told right, by name of the loss."""
    counts: Mapping[str, int]
    """How many things each loss told."""
    merit: float
    """What evaluations are compared by: greater is better."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What the task is measured by beside its loss."""
    baselines: Mapping[str, float] = field(default_factory=dict)
    """What some metrics would be of one answer to all: the most frequent class, or the mean."""


class Evaluator(Protocol):
    """Tells how well the network that it was made for does."""

    def __call__(self, batches: Iterable[Batch], ranks: Ranks) -> Evaluation | None:
        """Without dropout, on all workers' batches together; all of them call it. None where there are no batches."""
        ...


class LossEvaluator:
    """By the losses alone: the less they are together, the better."""

    def __init__(self, model: nn.Module, losses: Sequence[str], precision: Precision) -> None:
        self._model, self._losses, self._precision = model, tuple(losses), precision
        self._device = next(model.parameters()).device

    def __call__(self, batches: Iterable[Batch], ranks: Ranks) -> Evaluation | None:
        """See ``Evaluator``."""
        self._model.eval()
        sums = torch.zeros(2 * len(self._losses), dtype=torch.float64, device=self._device)
        counts = dict.fromkeys(self._losses, 0)
        for batch in batches:
            with torch.no_grad(), autocast(self._device, self._precision):
                found = self._model(batch)
            sums += told_of(found, self._losses)
            told = batch.counts()
            counts = {name: counts[name] + told[name] for name in self._losses}
        tally = gathered_tally(self._losses, sums.tolist(), counts, ranks)
        losses, accuracies = tally.means()
        if not losses:
            return None
        merit = -sum(losses.values())
        return Evaluation(losses=losses, accuracies=accuracies, counts=tally.counts, merit=merit)


def gathered_tally(losses: Sequence[str], told: Sequence[float], counts: Mapping[str, int], ranks: Ranks) -> Tally:
    """Sums over all workers; ``told`` as in ``Tally.add_told``. All of them call it."""
    values = ranks.sum([*told, *(counts[name] for name in losses)])
    tally = Tally()
    tally.add_told(losses, values[: 2 * len(losses)])
    tally.add_counts({name: int(count) for name, count in zip(losses, values[2 * len(losses) :], strict=True)})
    return tally
