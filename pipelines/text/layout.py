"""Segments as ranges of tokens to instances: token ids end to end, special tokens in their places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.text.full_length import FullLength
from pipelines.text.ranges import Ranges, ends_of, places
from pipelines.text.segments import Numbers, SegmentPairs
from pipelines.text.training_batch import NO_LABEL

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class LaidOut:
    """n instances of T tokens in all, unmasked."""

    document: Numbers  # [n], index among the documents
    values: Ids  # [T]
    offsets: Numbers  # [n + 1]
    segment_b_start: Numbers  # [n], place of segment B's first token; 0: one segment
    labels: npt.NDArray[np.int8]  # [n], NO_LABEL where there is one segment

    @property
    def lengths(self) -> Numbers:
        """Tokens of each instance, special tokens included."""
        return np.diff(self.offsets)


def lay_pairs(values: Ids, pairs: SegmentPairs, before: Ids, between: Ids, end: Ids) -> LaidOut:
    """Pairs, with the special tokens that stand before, between and behind two segments."""
    whole, special = _with_special(values, before, between, end)
    number = len(pairs.document)
    fixed = [np.broadcast_to(one, (number, 2)) for one in special]
    ranges = np.stack([fixed[0], pairs.first, fixed[1], pairs.second, fixed[2]], axis=1)
    sizes = ranges[:, :, 1] - ranges[:, :, 0]
    return LaidOut(
        document=pairs.document,
        values=whole[places(ranges.reshape(-1, 2))],
        offsets=ends_of(sizes.sum(axis=1)),
        segment_b_start=sizes[:, :3].sum(axis=1),
        labels=pairs.labels,
    )


def lay_full(values: Ids, found: FullLength, before: Ids, after: Ids, separator: Ids) -> LaidOut:
    """Instances of one segment, with the special tokens around it, and what stands between two documents."""
    whole, (inside, *around) = _with_special(values, separator, before, after)
    assert len(separator) == 1 or not np.any(found.ranges[:, 1] > inside[0]), "a separator that there is not"
    number = len(found.document)
    ranges = np.insert(found.ranges, np.repeat(found.offsets, 2)[1:-1], np.tile(np.stack(around), (number, 1)), axis=0)
    ends = ends_of(ranges[:, 1] - ranges[:, 0])
    return LaidOut(
        document=found.document,
        values=whole[places(ranges)],
        offsets=ends[found.offsets + 2 * np.arange(number + 1)],
        segment_b_start=np.zeros(number, np.int64),
        labels=np.full(number, NO_LABEL, np.int8),
    )


def _with_special(values: Ids, *special: Ids) -> tuple[Ids, list[Ranges]]:
    """The tokens with special ones behind them, and the range of each of these."""
    ends = len(values) + ends_of(np.array([len(ids) for ids in special]))
    return np.concatenate([values, *special]), list(np.stack([ends[:-1], ends[1:]], axis=1))
