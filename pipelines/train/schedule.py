"""How far a training is, and how fast it learns there.

Progress goes from 0 to 1 over steps, over tokens or over time, whichever the training's length is given in; the
learning rate is a function of progress alone, so that all schedules go with all lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The length of a training; one of the three is given, the others are 0."""

    max_steps: int = 0
    max_tokens: int = 0
    max_seconds: float = 0.0

    def progress(self, steps: float, tokens: float, seconds: float) -> float:
        """Share of the training that is done after so many steps, tokens and seconds: 0 to 1."""
        if self.max_steps:
            share = steps / self.max_steps
        elif self.max_tokens:
            share = tokens / self.max_tokens
        else:
            share = seconds / self.max_seconds
        return min(share, 1.0)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate: up in a line from 0 to the peak, and then, by ``kind``,

    linear: down in a line to 0 at the end (Devlin et al. 2019, A.2);
    wsd: level, and down in a line to 0 in the last ``decay`` (Hu et al. 2024, arXiv:2404.06395, section 4);
    constant: level.
    """

    kind: Literal["linear", "wsd", "constant"]
    peak: float
    warmup: float
    decay: float = 0.1

    def at(self, progress: float) -> float:
        """Learning rate at this share of the training."""
        rising = progress / self.warmup if progress < self.warmup else 1.0
        return self.peak * min(rising, self._falling(progress))

    def _falling(self, progress: float) -> float:
        length = {"linear": 1 - self.warmup, "wsd": self.decay, "constant": 0.0}[self.kind]
        return min(1.0, (1 - progress) / length) if length else 1.0
