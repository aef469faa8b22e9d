"""Lists of unequal lengths as two flat arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.text.pack import gathered

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """n lists of T values in all: list i is values[offsets[i]:offsets[i + 1]]."""

    values: npt.NDArray[Any]  # [T]
    offsets: Ints  # [n + 1], from 0

    @classmethod
    def joined(cls, lists: Iterable[npt.NDArray[Any]], like: npt.NDArray[Any]) -> Ragged:
        """These lists one after another, in the type that ``like`` has, also where there are none."""
        found = list(lists)
        return cls(np.concatenate([like[:0], *found]), np.cumsum([0, *map(len, found)], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> npt.NDArray[Any]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> Ints:
        """Values of each list."""
        return np.diff(self.offsets)

    def take(self, rows: npt.NDArray[Any]) -> Ragged:
        """The lists of these places, in this order."""
        lengths = self.lengths[rows]
        ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return Ragged(self.values[gathered(self.offsets[rows], lengths)], ends)

    def distinct(self) -> tuple[Ints, Ints]:
        """Places of the lists that are unlike all before them, and which of these each of the n lists equals."""
        found: dict[bytes, int] = {}
        equal = np.array([found.setdefault(self[row].tobytes(), len(found)) for row in range(len(self))], np.int64)
        return np.unique(equal, return_index=True)[1].astype(np.int64), equal


Column = npt.NDArray[Any] | Ragged
"""The values of n rows: an array of n, or n lists."""
