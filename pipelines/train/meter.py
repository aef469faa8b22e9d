"""What the steps since the last point of the curves add up to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.train.ranks import Ranks


@dataclass
class Tally:
    """Sums over steps and over all workers; seconds are the first one's. Plain values, which go into checkpoints.

    ``counts``, ``sums`` and ``correct`` are by name of the loss: how much was told, the losses, how much of it right.
    """

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    flops: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    correct: dict[str, float] = field(default_factory=dict)

    def means(self) -> tuple[dict[str, float], dict[str, float]]:
        """Loss and accuracy by name, of the losses that told anything; no accuracy of one that knows no right."""
        told = {name: count for name, count in self.counts.items() if count}
        losses = {name: self.sums[name] / count for name, count in told.items()}
        accuracies = {name: self.correct[name] / count for name, count in told.items()}
        return losses, {name: share for name, share in accuracies.items() if not math.isnan(share)}

    def add_told(self, names: Sequence[str], values: Sequence[float]) -> None:
        """Take in, of each loss in turn, its sum and how much was told right."""
        for name, loss, correct in zip(names, values[::2], values[1::2], strict=True):
            self.sums[name] = self.sums.get(name, 0.0) + loss
            self.correct[name] = self.correct.get(name, 0.0) + correct

    def add_counts(self, counts: Mapping[str, int]) -> None:
        """Take in how much each loss told."""
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count


class Meter:
    """Adds up what steps are of. What only this worker knows is added up here until ``fold`` makes it known to all."""

    def __init__(self, losses: Sequence[str], ranks: Ranks) -> None:
        self._losses, self._ranks = tuple(losses), ranks
        self._waited, self._flops = 0.0, 0.0
        self.tally = Tally()

    def note(self, counts: Mapping[str, int], tokens: int, waited: float, flops: float) -> None:
        """A step of so much on all workers, for which this one waited so many seconds and did so many FLOPs."""
        self.tally.steps += 1
        self.tally.tokens += tokens
        self.tally.add_counts(counts)
        self._waited += waited
        self._flops += flops

    def fold(self, told: Sequence[float]) -> None:
        """Bring together what the workers know; ``told`` as in ``Tally.add_told``. All of them call it."""
        *values, waited, flops = self._ranks.sum([*told, self._waited, self._flops])
        self.tally.add_told(self._losses, values)
        self.tally.waited += waited
        self.tally.flops += flops
        self._waited, self._flops = 0.0, 0.0

    def begin(self) -> None:
        """From here on a new tally."""
        self.tally = Tally()
