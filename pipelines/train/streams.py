"""Which instances a step consumes: a function of one integer, the position, whatever the number of ranks.

An epoch's row groups are permuted by (seed, epoch), the rows of each permuted too, all laid end to end (N instances)
and cut into K stretches, the streams: the first N mod K hold N div K + 1, the others N div K. Instance g of the epoch
is number g div K of stream g mod K. The position counts instances from the first of epoch 0 on; a batch runs on across
the end of an epoch. Within a global batch instances are sorted by (stream, epoch, number), and rank r of w takes places
floor(rB/w) to below floor((r+1)B/w), so that it stays with its own streams, and a row group is read by one rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pipelines.errors import SpecError
from pipelines.text.draws import order

Ints = npt.NDArray[np.int64]

GROUPS, ROWS = 0x67726F7570, 0x726F7773
"""Keys of the draws here, so that they are not those made elsewhere of the same seed."""
LAYOUTS, GROUP_ORDERS = 3, 1024
"""Epochs, and row groups, whose permutation is kept."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where n instances are. ``number`` is the place among all rows of all row groups as they are listed."""

    epoch: Ints
    group: Ints  # row group, as listed
    row: Ints  # in the row group
    number: Ints

    def __len__(self) -> int:
        return len(self.row)


class Streams:
    """The order of instances that lie in row groups of these sizes. SpecError where there are none."""

    def __init__(self, group_sizes: npt.ArrayLike, *, num_streams: int, seed: int) -> None:
        self._sizes = np.asarray(group_sizes, np.int64)
        self._begins = np.cumsum(self._sizes) - self._sizes
        self._num_streams, self._seed = num_streams, seed
        self.num_instances = int(self._sizes.sum())
        if not self.num_instances:
            raise SpecError("there are no instances: run jobs.prepare on documents that have text, and name its output")
        self._layout = lru_cache(LAYOUTS)(self._laid_out)
        self._row_order = lru_cache(GROUP_ORDERS)(self._permuted)

    def share(self, position: int, batch_size: int, rank: int, world: int) -> Places:
        """What a rank takes of the global batch at a position, sorted by stream, epoch and number."""
        epoch, instance = np.divmod(np.arange(position, position + batch_size), self.num_instances)
        number, stream = np.divmod(instance, self._num_streams)
        ordered = np.lexsort((number, epoch, stream))
        return self.locate(position + ordered[rank * batch_size // world : (rank + 1) * batch_size // world])

    def locate(self, positions: Ints) -> Places:
        """Where the instances at these positions are, in the order asked for."""
        epoch, instance = np.divmod(positions, self.num_instances)
        number, stream = np.divmod(instance, self._num_streams)
        short, longer = divmod(self.num_instances, self._num_streams)
        laid = stream * short + np.minimum(stream, longer) + number  # place in the epoch, laid end to end
        group, row = np.zeros_like(laid), np.zeros_like(laid)
        for one in np.unique(epoch).tolist():
            here = epoch == one
            group[here], row[here] = self._in_epoch(one, laid[here])
        return Places(epoch=epoch, group=group, row=row, number=self._begins[group] + row)

    def _in_epoch(self, epoch: int, laid: Ints) -> tuple[Ints, Ints]:
        """Row group and row of what lies at these places of an epoch."""
        groups, ends = self._layout(epoch)
        nth = np.searchsorted(ends, laid, side="right")
        group = groups[nth]
        row = laid - (ends[nth] - self._sizes[group])
        for one in np.unique(group).tolist():
            here = group == one
            row[here] = self._row_order(epoch, one)[row[here]]
        return group, row

    def _laid_out(self, epoch: int) -> tuple[Ints, Ints]:
        """The row groups in an epoch's order, and where each ends."""
        groups = order(len(self._sizes), self._seed, GROUPS, epoch)
        return groups, np.cumsum(self._sizes[groups])

    def _permuted(self, epoch: int, group: int) -> Ints:
        return order(int(self._sizes[group]), self._seed, ROWS, epoch, group)
