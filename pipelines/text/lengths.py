"""How long documents are, told in bins that double, with what a cut at the end of each would cost."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

SHORTEST = 16
"""The end of the first bin."""


@dataclass(frozen=True, kw_only=True)
class LengthBin:
    """Documents of ``first`` to ``last`` tokens."""

    first: int
    last: int
    num_documents: int
    longer: float
    """Share of all documents that are longer."""
    beyond: float
    """Share of all tokens that lie behind the first ``last`` of their documents."""


def length_bins(lengths: npt.NDArray[np.int64], limit: int) -> list[LengthBin]:
    """Bins that end at 16, 32, 64 and so on, and at ``limit``: from the shortest document's to the longest one's."""
    if not len(lengths):
        return []
    ends = [limit]
    end = SHORTEST
    while end // 2 < lengths.max() or end == SHORTEST:
        ends.append(end)
        end *= 2
    bins = [_bin(lengths, first + 1, last) for first, last in pairwise([0, *sorted(set(ends))])]
    return [one for one in bins if one.first <= lengths.max() and one.last >= lengths.min()]


def _bin(lengths: npt.NDArray[np.int64], first: int, last: int) -> LengthBin:
    return LengthBin(
        first=first,
        last=last,
        num_documents=int(((lengths >= first) & (lengths <= last)).sum()),
        longer=float((lengths > last).mean()),
        beyond=float(np.maximum(lengths - last, 0).sum() / max(1, lengths.sum())),
    )
