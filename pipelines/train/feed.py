"""The data path of a training: from the position to the batches of a step, ahead of the network's need.

What a step consumes is told by ``pipelines.train.streams``, what is masked by ``pipelines.text.masking``; both are
functions of the instance, so that nothing here keeps a state that a restart would have to bring back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipelines.errors import SpecError
from pipelines.instances import ROW_GROUP
from pipelines.text.objectives import Task
from pipelines.text.pack import plan_batches
from pipelines.text.training_batch import Instances, TrainingBatch
from pipelines.train.row_groups import RowGroupReader, RowGroups
from pipelines.train.streams import Streams

Ints = npt.NDArray[np.int64]

EVALUATION_SEED = 0
"""Seed of the choice and the masks of held-out instances, so that numbers of any two evaluations compare."""


class Feed:
    """The instances of an output, in the order of a seed. SpecError where there are none."""

    def __init__(self, row_groups: RowGroups, *, num_streams: int, seed: int) -> None:
        self._row_groups, self._num_streams = row_groups, num_streams
        self._streams = Streams(row_groups.num_rows, num_streams=num_streams, seed=seed)
        self._reader = RowGroupReader(row_groups)

    @property
    def num_instances(self) -> int:
        """Instances of an epoch."""
        return self._streams.num_instances

    def share(self, position: int, batch_size: int, rank: int, world: int) -> Instances:
        """What a rank consumes of the global batch at a position; the shares of all ranks differ by one at most."""
        places = self._streams.share(position, batch_size, rank, world)
        open_groups = max(len(np.unique(places.group)), -(-self._num_streams // world))
        return self._reader.instances(places, max_kept=open_groups * 5 // 4 + 2)  # some to spare, at ends of streams

    def documents(self, numbers: Ints) -> list[str]:
        """Ids of the documents that the instances of these numbers are of; it reads them."""
        return self._reader.document_ids(numbers)

    def names(self, position: int, batch_size: int, rank: int = 0, world: int = 1) -> list[tuple[str, int]]:
        """Part (its path under the output) and row in it of each instance of a share, in order; it reads nothing."""
        return self._row_groups.names(self._streams.share(position, batch_size, rank, world).number)

    def cautions(self, batch_size: int) -> list[str]:
        """What makes reading dear, or batches less varied than they look, each in a sentence with a remedy."""
        found, largest = [], int(self._row_groups.num_rows.max(initial=0))
        if batch_size % self._num_streams:
            found.append(
                f"global_batch={batch_size} is no multiple of num_streams={self._num_streams}, so that ranks read row "
                "groups more than once: choose one that is"
            )
        if largest > ROW_GROUP:
            found.append(
                f"a row group has {largest} instances, and is read and kept as a whole: write at most {ROW_GROUP} a "
                "row group"
            )
        if self.num_instances < batch_size:
            found.append(
                f"global_batch={batch_size} is more than the {self.num_instances} instances there are, so that a step "
                "sees some of them twice: take more documents, or a smaller batch"
            )
        return found


@dataclass(frozen=True, kw_only=True)
class Step:
    """A rank's share of the global batch at a position, and the micro-batches that it is cut into."""

    position: int
    instances: Instances  # unmasked
    batches: list[TrainingBatch]

    @property
    def num_tokens(self) -> int:
        """Tokens of the share, special ones included, padding not."""
        return len(self.instances.values)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How instances are cut into micro-batches: at most so many tokens each, padding counted where there is any.

    An instance that is longer is a micro-batch by itself.
    """

    token_budget: int
    padded: bool

    def batches(self, instances: Instances, task: Task) -> Iterator[TrainingBatch]:
        """Micro-batches of instances of like length, the longest first. Which go together changes no draw."""
        for rows in plan_batches(instances.lengths, self.token_budget, padded=self.padded):
            yield task.batch(instances.take(rows))


def steps(feed: Feed, task: Task, cut: Cut, *, position: int, batch_size: int, rank: int, world: int) -> Iterator[Step]:
    """The steps from a position on, without an end. SpecError where a rank would have nothing to do."""
    if batch_size < world:
        raise SpecError(f"global_batch={batch_size} is less than {world} workers: take a larger one, or fewer workers")
    return _endless(feed, task, cut, position, batch_size, rank, world)


def _endless(feed: Feed, task: Task, cut: Cut, position: int, batch_size: int, rank: int, world: int) -> Iterator[Step]:
    while True:
        instances = feed.share(position, batch_size, rank, world)
        yield Step(position=position, instances=instances, batches=list(cut.batches(instances, task)))
        position += batch_size


class HeldOut:
    """A rank's share of at most so many held-out instances, kept in memory: the same ones in every run.

    All ranks together have each once. A rank has none where there are fewer instances than ranks.
    """

    def __init__(self, row_groups: RowGroups, *, max_instances: int, rank: int, world: int) -> None:
        feed = Feed(row_groups, num_streams=1, seed=EVALUATION_SEED)
        num = min(max_instances, feed.num_instances)
        begin, stop = rank * num // world, (rank + 1) * num // world
        self.instances = feed.share(begin, stop - begin, 0, 1)

    def batches(self, task: Task, cut: Cut) -> Iterator[TrainingBatch]:
        """The micro-batches of one evaluation, masked as in every other."""
        return cut.batches(self.instances, replace(task, seed=EVALUATION_SEED))
