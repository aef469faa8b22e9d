"""Instances as the loop takes them (``pipelines.train.source.Source``): micro-batches, made ahead of their use.

What a network is to tell of an instance is a function of the instance, so that neither how a share is cut nor where a
training began changes any of it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipelines.text.objectives import Task
from pipelines.text.pack import plan_batches
from pipelines.text.training_batch import Instances, TrainingBatch, losses_of
from pipelines.train.ahead import Ahead
from pipelines.train.feed import EVALUATION_SEED, Feed, held_out_share
from pipelines.train.row_groups import RowGroups
from pipelines.train.source import Batch, Share

Ints = npt.NDArray[np.int64]
Flops = Callable[[Ints, int], float]
PASS_OVERHEAD_TOKENS = 128
"""What one more micro-batch costs, in tokens of padding: gradients of all weights are added up once more, too."""


def unknown_work(lengths: Ints, num_targets: int) -> float:
    """What is not known: 0."""
    return 0.0


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How instances are cut into micro-batches: at most so many tokens each, padding counted where there is any.

    An instance that is longer is a micro-batch by itself.
    """

    token_budget: int
    padded: bool

    def plan(self, instances: Instances) -> list[Ints]:
        """Places of the instances of each micro-batch: of like length together, the longest first."""
        return plan_batches(
            instances.lengths, self.token_budget, padded=self.padded, pass_overhead=PASS_OVERHEAD_TOKENS
        )

    def parts(self, instances: Instances) -> Iterator[Instances]:
        """The instances of each micro-batch."""
        for rows in self.plan(instances):
            yield instances.take(rows)


class Maker(Protocol):
    """Makes of instances what a network takes."""

    @property
    def losses(self) -> Sequence[str]:
        """Names of the losses that its batches are told by."""
        ...

    @property
    def held_out_columns(self) -> Sequence[str]:
        """Columns that instances have beside them where ``held_out`` gets them."""
        ...

    def batch(self, instances: Instances) -> Batch:
        """To learn from."""
        ...

    def held_out(self, instances: Instances) -> Batch:
        """To be evaluated on: the same in every evaluation."""
        ...

    def work(self, instances: Instances, batches: Sequence[Batch]) -> float:
        """FLOPs of a training step over these instances, of which these batches were made; 0: not known."""
        ...


@dataclass(frozen=True)
class Masking:
    """The maker of pretraining. ``flops``: of instances of these lengths, of whose tokens so many are told."""

    task: Task
    flops: Flops = unknown_work
    held_out_columns: tuple[str, ...] = ()

    @property
    def losses(self) -> Sequence[str]:
        """See ``Maker``."""
        return losses_of(self.task.objective)

    def batch(self, instances: Instances) -> TrainingBatch:
        """See ``Maker``."""
        return self.task.batch(instances)

    def held_out(self, instances: Instances) -> TrainingBatch:
        """See ``Maker``."""
        return replace(self.task, seed=EVALUATION_SEED).batch(instances)

    def work(self, instances: Instances, batches: Sequence[Batch]) -> float:
        """See ``Maker``."""
        told = sum(len(batch.targets) for batch in batches if isinstance(batch, TrainingBatch))
        return self.flops(instances.lengths, told)


class InstanceSource:
    """A feed's instances, cut, and made into what a network takes.

    ``depth`` steps are made while the network computes. At most ``max_held_out`` instances of ``held_out`` are
    evaluated; they stay in memory.
    """

    def __init__(
        self,
        feed: Feed,
        held_out: RowGroups,
        *,
        maker: Maker,
        cut: Cut,
        max_held_out: int,
        depth: int = 4,
    ) -> None:
        self._feed, self._maker, self._cut, self._depth = feed, maker, cut, depth
        self._held_out, self._max_held_out = held_out, max_held_out
        self._held_out_share = lru_cache(1)(self._read_held_out)

    @property
    def losses(self) -> Sequence[str]:
        """See ``Maker``."""
        return self._maker.losses

    def steps(self, position: int, count: int, rank: int, world: int) -> Generator[Share, None, None]:
        """A rank's shares of the global batches from a position on, for ever. StoreError where one can't be read.

        They are made in a thread of its own, which closing it ends.
        """
        with Ahead(self._shares(position, count, rank, world), self._depth) as shares:
            yield from shares

    def held_out(self, rank: int, world: int) -> Iterator[Batch]:
        """A rank's micro-batches of an evaluation, the same as in every other; nothing where nothing is held out."""
        if self._held_out.num_instances:
            yield from map(self._maker.held_out, self._cut.parts(self._held_out_share(rank, world)))

    def names(self, position: int, count: int, rank: int, world: int, micro_batch: int) -> Sequence[str]:
        """Ids of the documents that the instances of a micro-batch of the step at a position are of."""
        instances = self._feed.share(position, count, rank, world)
        return self._feed.documents(instances.number[self._cut.plan(instances)[micro_batch]])

    def _shares(self, position: int, count: int, rank: int, world: int) -> Iterator[Share]:
        while True:
            instances = self._feed.share(position, count, rank, world)
            batches = [self._maker.batch(part) for part in self._cut.parts(instances)]
            work = self._maker.work(instances, batches)
            yield Share(batches=batches, num_tokens=len(instances.values), flops=work)
            position += count

    def _read_held_out(self, rank: int, world: int) -> Instances:
        return held_out_share(
            self._held_out,
            max_instances=self._max_held_out,
            rank=rank,
            world=world,
            columns=self._maker.held_out_columns,
        )
