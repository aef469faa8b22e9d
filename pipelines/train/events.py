"""What a training tells of itself while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

MOST_NATS = 700.0
"""exp of more is no number."""


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """Some steps were done, the last of them number ``step``; a point of the curves. Means are over these steps."""

    step: int
    """Steps done since the beginning."""
    position: int
    """Instances consumed since the beginning, through all epochs."""
    tokens: int
    """Tokens consumed since the beginning, padding not counted."""
    seconds: float
    """Time since the beginning, that of runs before this one included."""
    progress: float
    """Share of the training that is done."""
    losses: Mapping[str, float]
    """Mean loss by name, in nats."""
    accuracies: Mapping[str, float]
    """Share that was told right, by name of the loss."""
    learning_rate: float
    """Of the last step."""
    grad_norm: float
    """Length of the last step's gradient, before clipping."""
    num_steps: int
    """Steps that the means are over."""
    step_seconds: float
    """Mean time of a step."""
    data_wait: float
    """Share of the time that a worker waited for data."""
    tokens_per_second: float
    """Of all workers."""
    flops_per_second: float
    """Useful work of all workers; 0: not known."""
    seconds_left: float | None
    """At the pace of this run; None: not known yet."""
    workers: int

    def row(self) -> dict[str, float]:
        """Its numbers by name, those of a loss as loss_NAME and accuracy_NAME."""
        row = {name: value for name, value in vars(self).items() if isinstance(value, int | float)}
        return row | named(self.losses, self.accuracies)


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The held-out instances were told by the network as it is after ``step`` steps."""

    step: int
    position: int
    tokens: int
    losses: Mapping[str, float]
    accuracies: Mapping[str, float]
    counts: Mapping[str, int]
    """How many things each loss told."""
    seconds: float
    """What it took."""
    merit: float
    """What evaluations are compared by: greater is better."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What the task is measured by, the first before all."""
    baselines: Mapping[str, float] = field(default_factory=dict)
    """What some metrics would be of one answer to all."""

    def row(self) -> dict[str, float]:
        """Its numbers by name: metric_NAME, baseline_NAME, and of a loss loss_NAME, accuracy_NAME.

        Where nothing but losses measures it, their perplexity_NAME as well.
        """
        row = {name: getattr(self, name) for name in ("step", "position", "tokens", "seconds")}
        row |= {"merit": self.merit} if math.isfinite(self.merit) else {}
        row |= {f"metric_{name}": value for name, value in self.metrics.items()}
        row |= {f"baseline_{name}": value for name, value in self.baselines.items()}
        row |= named(self.losses, self.accuracies)
        if self.metrics:
            return row
        return row | {f"perplexity_{name}": math.exp(min(loss, MOST_NATS)) for name, loss in self.losses.items()}


@dataclass(frozen=True, kw_only=True)
class Checkpointed:
    """A checkpoint is committed."""

    step: int
    uri: str
    num_bytes: int
    seconds: float
    """What it took, while nothing else was done."""


@dataclass(frozen=True, kw_only=True)
class Warned:
    """Something that whoever trains should know, in one line."""

    message: str


Event = Stepped | Evaluated | Checkpointed | Warned
Observer = Callable[[Event], None]


def named(losses: Mapping[str, float], accuracies: Mapping[str, float]) -> dict[str, float]:
    """Losses, their sum, and accuracies as the numbers of a row."""
    row = {f"loss_{name}": loss for name, loss in losses.items()}
    row |= {f"accuracy_{name}": accuracy for name, accuracy in accuracies.items()}
    return row | ({"loss": sum(losses.values())} if losses else {})
