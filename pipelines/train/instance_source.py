"""Instances as the loop takes them (``pipelines.train.source.Source``): micro-batches, made ahead of their use.

Masks and spans are functions of the instance (``pipelines.text.objectives``), so that neither how a share is cut nor
where a training began changes any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pipelines.text.objectives import Task
from pipelines.text.pack import plan_batches
from pipelines.text.training_batch import Instances, TrainingBatch, losses_of
from pipelines.train.ahead import Ahead
from pipelines.train.feed import EVALUATION_SEED, Feed, held_out_share
from pipelines.train.row_groups import RowGroups
from pipelines.train.source import Share

Ints = npt.NDArray[np.int64]
Flops = Callable[[Ints, int], float]


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
        return plan_batches(instances.lengths, self.token_budget, padded=self.padded)

    def batches(self, instances: Instances, task: Task) -> Iterator[TrainingBatch]:
        """The micro-batches, masked."""
        for rows in self.plan(instances):
            yield task.batch(instances.take(rows))


class InstanceSource:
    """A feed's instances, masked for a task and cut.

    ``depth`` steps are made while the network computes. ``flops`` is the work of a training step over instances of
    these lengths, of whose tokens so many are told. At most ``max_held_out`` instances of ``held_out`` are evaluated;
    they stay in memory.
    """

    def __init__(
        self,
        feed: Feed,
        held_out: RowGroups,
        *,
        task: Task,
        cut: Cut,
        max_held_out: int,
        depth: int = 4,
        flops: Flops = unknown_work,
    ) -> None:
        self._feed, self._task, self._cut, self._depth, self._flops = feed, task, cut, depth, flops
        self._held_out, self._max_held_out = held_out, max_held_out
        self._held_out_share = lru_cache(1)(self._read_held_out)

    @property
    def losses(self) -> Sequence[str]:
        """Names of the objective's losses."""
        return losses_of(self._task.objective)

    def steps(self, position: int, count: int, rank: int, world: int) -> Generator[Share, None, None]:
        """A rank's shares of the global batches from a position on, for ever. StoreError where one can't be read.

        They are made in a thread of its own, which closing it ends.
        """
        with Ahead(self._shares(position, count, rank, world), self._depth) as shares:
            yield from shares

    def held_out(self, rank: int, world: int) -> Iterator[TrainingBatch]:
        """A rank's micro-batches of an evaluation, masked as in every other; nothing where nothing is held out."""
        if self._held_out.num_instances:
            fixed = replace(self._task, seed=EVALUATION_SEED)
            yield from self._cut.batches(self._held_out_share(rank, world), fixed)

    def names(self, position: int, count: int, rank: int, world: int, micro_batch: int) -> Sequence[str]:
        """Ids of the documents that the instances of a micro-batch of the step at a position are of."""
        instances = self._feed.share(position, count, rank, world)
        return self._feed.documents(instances.number[self._cut.plan(instances)[micro_batch]])

    def _shares(self, position: int, count: int, rank: int, world: int) -> Iterator[Share]:
        while True:
            instances = self._feed.share(position, count, rank, world)
            batches = list(self._cut.batches(instances, self._task))
            work = self._flops(instances.lengths, sum(len(batch.targets) for batch in batches))
            yield Share(batches=batches, num_tokens=len(instances.values), flops=work)
            position += count

    def _read_held_out(self, rank: int, world: int) -> Instances:
        return held_out_share(self._held_out, max_instances=self._max_held_out, rank=rank, world=world)
