"""What one forward pass of fine-tuning, or of an evaluation, gets: token ids end to end, and what is to be told.

    task                   targets
    classification         int64[n], the class
    multi_label            float32[n, L], 1 where the class is among the example's
    regression             float32[n]
    token_classification   int64[T], the class of each token, NO_LABEL: none
    question_answering     int64[n, 2], places of the answer's first and last token within the window
    embedding              float32[n], the pairs' scores, or [0] where texts are told from each other

An example of embedding is several sequences: its anchor, its positive, and its negatives; of the others, one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.text.training_batch import NO_LABEL

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ExampleBatch:
    """n examples of m sequences of T tokens in all, and their targets."""

    task: str
    values: npt.NDArray[np.int32]  # [T]
    offsets: Ints  # [m + 1], of the sequences
    segment_b_start: npt.NDArray[np.int32]  # [m]; 0: one segment
    targets: npt.NDArray[Any]
    number: Ints  # [n], an example's place among all of the data
    examples: Ints | None = None  # [n + 1], where an example's sequences begin; None: each is one

    def __len__(self) -> int:
        return len(self.number)

    @property
    def num_told(self) -> int:
        """How many things the loss is a mean of: examples, their classes (multi_label), or tokens that have a class."""
        if self.task == "token_classification":
            return int((self.targets != NO_LABEL).sum())
        return int(self.targets.size) if self.task == "multi_label" else len(self)

    def counts(self) -> dict[str, int]:
        """``num_told`` by the name of the loss."""
        return {LOSSES[self.task]: self.num_told}


LOSSES = {
    "classification": "class",
    "multi_label": "classes",
    "regression": "value",
    "token_classification": "tag",
    "question_answering": "answer",
    "embedding": "match",
}
"""Name of each task's loss. Of a question it is the mean of those of both ends; of values and scores the squared
error."""
