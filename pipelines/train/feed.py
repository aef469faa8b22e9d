"""The instances that a training consumes: from the position to a rank's share.

Nothing here keeps a state that a restart would have to bring back: what a step consumes is a function of its position
(``pipelines.train.streams``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipelines.examples import CONTEXT
from pipelines.instances import ROW_GROUP
from pipelines.text.training_batch import Instances
from pipelines.train.row_groups import RowGroupReader, RowGroups
from pipelines.train.streams import Streams

Ints = npt.NDArray[np.int64]

EVALUATION_SEED = 0
"""Seed of the choice and of the masks of held-out instances, so that the numbers of any two evaluations compare."""


class Feed:
    """The instances of an output, in the order of a seed, with these columns beside. SpecError where there are none."""

    def __init__(self, row_groups: RowGroups, *, num_streams: int, seed: int, columns: Sequence[str] = ()) -> None:
        self._row_groups, self._num_streams = row_groups, num_streams
        self._streams = Streams(row_groups.num_rows, num_streams=num_streams, seed=seed)
        self._reader = RowGroupReader(row_groups, columns=columns)

    @property
    def num_instances(self) -> int:
        """Instances of an epoch."""
        return self._streams.num_instances

    def share(self, position: int, batch_size: int, rank: int, world: int) -> Instances:
        """What a rank consumes of the global batch at a position; the shares of all ranks differ by one at most."""
        places = self._streams.share(position, batch_size, rank, world)
        open_groups = max(len(np.unique(places.group)), -(-self._num_streams // world))
        return self._reader.instances(places, max_kept=open_groups * 5 // 4 + 2)  # some to spare, at ends of streams

    def at(self, positions: Ints) -> Instances:
        """The instances at these positions, in the order asked for."""
        return self._reader.instances(self._streams.locate(positions), max_kept=1)

    def of_whole_documents(self, most: int) -> Ints:
        """Positions, in order, of at most so many instances of the first epoch: those of a document all, or none.

        Documents are told by their ids, which it reads; the first one is among them in any case.
        """
        numbers = self._streams.locate(np.arange(self.num_instances)).number
        _, first, document, counts = np.unique(
            np.array(self.documents(numbers)), return_index=True, return_inverse=True, return_counts=True
        )
        by_place = np.argsort(first)
        num = max(1, int((np.cumsum(counts[by_place]) <= most).sum()))
        return np.flatnonzero(np.isin(document, by_place[:num]))

    def documents(self, numbers: Ints) -> list[str]:
        """Ids of the documents that the instances of these numbers are of; it reads them."""
        return self._reader.document_ids(numbers)

    def names(self, position: int, batch_size: int, rank: int = 0, world: int = 1) -> list[tuple[str, int]]:
        """Part (its path under the output) and row in it of each instance of a share, in order; it reads nothing."""
        return self._row_groups.names(self._streams.share(position, batch_size, rank, world).number)

    def seen(self, position: int, batch_size: int, rank: int = 0, world: int = 1) -> list[tuple[int, str, int]]:
        """Epoch, part and row in it of each instance of a share, in its order; it reads nothing."""
        places = self._streams.share(position, batch_size, rank, world)
        names = self._row_groups.names(places.number)
        return [(epoch, part, row) for epoch, (part, row) in zip(places.epoch.tolist(), names, strict=True)]

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


def held_out_share(
    row_groups: RowGroups, *, max_instances: int, rank: int, world: int, columns: Sequence[str] = ()
) -> Instances:
    """A rank's share of at most so many held-out instances, these columns beside: the same ones in every run.

    Of windows, which have their context beside them, those of one document are all among them, or none: the answer to a
    question is the best of its windows'.

    All ranks together have each once. A rank has none where there are fewer instances than ranks. SpecError where there
    are none at all.
    """
    feed = Feed(row_groups, num_streams=1, seed=EVALUATION_SEED, columns=columns)
    chosen = np.arange(min(max_instances, feed.num_instances))
    if CONTEXT in columns and len(chosen) < feed.num_instances:
        chosen = feed.of_whole_documents(max_instances)
    return feed.at(chosen[rank * len(chosen) // world : (rank + 1) * len(chosen) // world])
