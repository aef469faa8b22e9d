"""How well a network tells the held-out instances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from pipelines.train.meter import Tally
from pipelines.train.ranks import Ranks
from pipelines.train.source import Batch
from pipelines.train.step import Stepper, told_of


def evaluate(stepper: Stepper, batches: Iterable[Batch], losses: Sequence[str], ranks: Ranks) -> Tally:
    """Sums over all workers' batches, without dropout; all of them call it. Counts are 0 where nothing is held out."""
    stepper.model.eval()
    sums = torch.zeros(2 * len(losses), dtype=torch.float64, device=stepper.device)
    counts = dict.fromkeys(losses, 0)
    for batch in batches:
        with torch.no_grad(), stepper.autocast():
            found = stepper.model(batch)
        sums += told_of(found, losses)
        told = batch.counts()
        counts = {name: counts[name] + told[name] for name in losses}
    values = ranks.sum([*sums.tolist(), *counts.values()])
    tally = Tally()
    tally.add_told(losses, values[: 2 * len(losses)])
    tally.add_counts({name: int(count) for name, count in zip(losses, values[2 * len(losses) :], strict=True)})
    return tally
