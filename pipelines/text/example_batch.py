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

from pipelines.text.ragged import Column, Ragged
from pipelines.text.ranges import ends_of
from pipelines.text.training_batch import NO_LABEL, Instances

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

COLUMNS = {
    "classification": ("label",),
    "multi_label": ("labels",),
    "regression": ("value",),
    "token_classification": ("token_labels",),
    "question_answering": ("answer_start", "answer_end"),
    "embedding": ("text_lengths", "score"),
}
"""Columns of examples (``pipelines.examples``) that a task's batch is made of, beside those of an instance."""


def example_batch(instances: Instances, task: str, num_labels: int) -> ExampleBatch:
    """What a forward pass gets of examples, which have the task's columns beside; ``num_labels`` is for multi_label."""
    first, *more = (instances.beside[name] for name in COLUMNS[task])
    if task == "embedding":
        assert isinstance(first, Ragged)
        return _of_texts(instances, first, np.asarray(more[0], np.float32))
    return ExampleBatch(
        task=task,
        values=instances.values,
        offsets=instances.offsets,
        segment_b_start=instances.segment_b_start,
        targets=_targets(task, [first, *more], num_labels),
        number=instances.number,
    )


def _of_texts(instances: Instances, lengths: Ragged, scores: npt.NDArray[np.float32]) -> ExampleBatch:
    """Examples of several texts each, of so many tokens."""
    num_texts = len(lengths.values)
    return ExampleBatch(
        task="embedding",
        values=instances.values,
        offsets=ends_of(lengths.values.astype(np.int64)),
        segment_b_start=np.zeros(num_texts, np.int32),
        targets=scores[:0] if np.isnan(scores).all() else scores,
        number=instances.number,
        examples=lengths.offsets,
    )


def _targets(task: str, columns: list[Column], num_labels: int) -> npt.NDArray[Any]:
    if task == "question_answering":
        return np.stack([np.asarray(column, np.int64) for column in columns], axis=1)
    (column,) = columns
    if task == "regression":
        return np.asarray(column, np.float32)
    if not isinstance(column, Ragged):
        return column.astype(np.int64)
    if task == "token_classification":
        return column.values.astype(np.int64)
    targets = np.zeros((len(column), num_labels), np.float32)
    targets[np.repeat(np.arange(len(column)), column.lengths), column.values] = 1
    return targets
