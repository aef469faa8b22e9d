"""What the loop asks of its data and of its network. It knows neither masks nor tokens: losses have names."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Batch(Protocol):
    """What one forward and backward pass is of: what the network's ``forward`` takes."""

    def counts(self) -> Mapping[str, int]:
        """How many things each loss is to tell, for every name of ``Source.losses``: also where it is none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Share:
    """A worker's part of a step."""

    batches: Sequence[Batch]
    """Micro-batches, at least one."""
    num_tokens: int
    """Padding not counted."""
    flops: float = 0.0
    """Useful work of training on it; 0: not known."""

    def count(self, name: str) -> int:
        """How many things a loss is to tell in it."""
        return sum(batch.counts()[name] for batch in self.batches)


class Source(Protocol):
    """The data of a training. What it gives is a function of its arguments, so that a seek is a call."""

    @property
    def losses(self) -> Sequence[str]:
        """Names of the losses, the same on all workers, in one order."""
        ...

    def steps(self, position: int, count: int, rank: int, world: int) -> Generator[Share, None, None]:
        """This worker's part of the instances position .. position + count, of the next ``count``, and so on for ever.

        Instances are counted from 0 through all epochs. Whoever asks closes it.
        """
        ...

    def held_out(self, rank: int, world: int) -> Iterable[Batch]:
        """This worker's part of the instances of an evaluation; nothing where there are none."""
        ...

    def names(self, position: int, count: int, rank: int, world: int, micro_batch: int) -> Sequence[str]:
        """How a person finds the instances of one micro-batch of the step at a position."""
        ...


class LossSum(Protocol):
    """One loss over a micro-batch: the sum over what was told, and how much of it was told right."""

    @property
    def sum(self) -> Tensor:
        """Scalar of float32, in nats, with a gradient."""
        ...

    @property
    def correct(self) -> Tensor:
        """Scalar: how many things were told right; not a number where the loss knows no right and wrong."""
        ...
