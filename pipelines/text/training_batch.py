"""What training reads, and what one forward and backward pass gets of it: flat arrays of token ids.

``values`` holds all tokens end to end, ``offsets`` where each instance begins, from 0, and where the last one ends.
Whether a batch runs padded or packed is the model's choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.text.ragged import Column, Ragged

Ints = npt.NDArray[np.int64]

NO_LABEL = -100
"""Label of an instance that has none."""


@dataclass(frozen=True, kw_only=True)
class Instances:
    """n instances of T tokens in all, unmasked, and which instances they are.

    ``number`` is an instance's place among all of the data, the same in every epoch; with ``epoch`` it names a draw.
    """

    values: npt.NDArray[np.int32]  # [T]
    offsets: Ints  # [n + 1]
    segment_b_start: npt.NDArray[np.int32]  # [n], place of segment B's first token; 0: one segment
    sentence_labels: npt.NDArray[np.int8]  # [n], NO_LABEL: none
    epoch: Ints  # [n]
    number: Ints  # [n]
    beside: Mapping[str, Column] = field(default_factory=dict)
    """What else was read of them, n values or lists by the name of their column: the targets of fine-tuning."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ints:
        """Tokens of each instance."""
        return np.diff(self.offsets)

    def take(self, rows: npt.NDArray[Any]) -> Instances:
        """The instances of these places, in this order."""
        tokens = Ragged(self.values, self.offsets).take(rows)
        return Instances(
            values=tokens.values,
            offsets=tokens.offsets,
            segment_b_start=self.segment_b_start[rows],
            sentence_labels=self.sentence_labels[rows],
            epoch=self.epoch[rows],
            number=self.number[rows],
            beside={name: column.take(rows) for name, column in self.beside.items()},
        )


@dataclass(frozen=True, kw_only=True)
class TrainingBatch:
    """n instances of T tokens as the network sees them, and the M tokens that it is to tell.

    With "span" the targets are sequences for a decoder, instance i's being targets[target_offsets[i]:
    target_offsets[i + 1]], and there are no positions; else the vector at positions[m] is to tell targets[m].
    """

    objective: str  # "mlm+nsp", "mlm+sop", "mlm", "causal", "span"
    values: npt.NDArray[np.int32]  # [T]
    offsets: Ints  # [n + 1]
    segment_b_start: npt.NDArray[np.int32]  # [n]
    positions: Ints  # [M], flat places among the values, rising
    targets: Ints  # [M]
    sentence_labels: Ints  # [n], NO_LABEL: none
    target_offsets: Ints | None = None  # [n + 1], "span" alone

    def counts(self) -> dict[str, int]:
        """How many things each loss of the objective tells, by the name of the loss: also where it is none."""
        told = (len(self.targets), int((self.sentence_labels != NO_LABEL).sum()))
        return dict(zip(losses_of(self.objective), told, strict=False))


def losses_of(objective: str) -> tuple[str, ...]:
    """Names of an objective's losses: of its tokens ("mlm", "clm", "span"), and of sentences ("nsp", "sop") if any."""
    words, _, sentences = objective.partition("+")
    tokens = "clm" if words == "causal" else words
    return (tokens, sentences) if sentences else (tokens,)
