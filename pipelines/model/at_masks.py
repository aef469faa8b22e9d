"""Vectors at masks, of all that a batch computes: nothing else meets the vocabulary.

Shapes: B chunks of a batch, T tokens in all, M masks, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipelines.model.loop import Chunks, Rows
from pipelines.text.pack import gathered


@dataclass(frozen=True)
class Masks:
    """Places of masks in their chunks, of chunk i those of ``offsets[i]:offsets[i + 1]``, and the masks' numbers."""

    offsets: Rows
    positions: Rows
    numbers: Rows | None = None

    @classmethod
    def of_id(cls, chunks: Chunks, mask_id: int) -> Masks:
        """The masks that stand in chunks, in their order."""
        places = np.flatnonzero(chunks.values == mask_id)
        owners = np.searchsorted(chunks.offsets, places, side="right") - 1
        offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(chunks)))])
        return cls(offsets.astype(np.int64), places - chunks.offsets[owners])

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def counts(self) -> Rows:
        """Masks of each chunk."""
        return np.diff(self.offsets)

    def of(self, rows: Rows) -> Masks:
        """The masks of these chunks, by their old numbers."""
        counts = self.counts[rows]
        numbers = gathered(self.offsets[rows], counts)
        known = numbers if self.numbers is None else self.numbers[numbers]
        return Masks(np.concatenate([[0], np.cumsum(counts)]), self.positions[numbers], known)


class AtMasks:
    """A ``pipelines.model.loop.Harvest`` that gives ``take`` the masks' numbers [M] and their vectors [M, D]."""

    def __init__(self, masks: Masks, take: Callable[[Rows, Tensor], object]) -> None:
        self._masks, self._take = masks, take

    def __call__(self, rows: Rows, hidden_td: Tensor, lengths_b: Tensor) -> None:
        here = self._masks.of(rows)
        if not len(here) or here.numbers is None:
            return
        lengths = lengths_b.cpu().numpy()
        starts = np.repeat(np.cumsum(lengths) - lengths, here.counts)
        places = torch.from_numpy(starts + here.positions).to(hidden_td.device)
        self._take(here.numbers, hidden_td[places])
