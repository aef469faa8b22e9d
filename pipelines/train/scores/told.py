"""What a network told of examples, reduced batch by batch to what metrics need, so that it is cheap to gather.

    task                   predictions                         targets
    classification         float32[n, L], logits               int64[n]
    multi_label            float32[n, L], logits               float32[n, L], 0 or 1
    regression             float32[n]                          float32[n]
    token_classification   int32[M], classes                   int64[M]; counts has the tokens of each example
    question_answering     float32[n, 2], best span and none   object[n], lists of answers; answers has the span's text
    embedding, scored      float32[n], cosines                 float32[n], the pairs' scores
    embedding              float32[n, 2, D], of length 1       [0]; vectors of anchor and positive

M are the tokens that have a class; an example of question_answering is one window of a question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.text.example_batch import ExampleBatch
from pipelines.text.pack import gathered
from pipelines.text.training_batch import NO_LABEL
from pipelines.train.scores.answers import Windows, best_answers

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Told:
    """Predictions and targets of n examples; ``number`` is an example's place among all of the data."""

    predictions: npt.NDArray[Any]
    targets: npt.NDArray[Any]
    number: Ints  # [n]
    counts: Ints | None = None  # [n], tokens of each example (token_classification)
    answers: npt.NDArray[Any] = field(default_factory=lambda: np.empty(0, object))  # [n], of question_answering
    questions: npt.NDArray[Any] = field(default_factory=lambda: np.empty(0, object))  # [n], equal for one question

    def __len__(self) -> int:
        return len(self.number)


def told_of(batch: ExampleBatch, output: npt.NDArray[Any], windows: Windows | None = None) -> Told:
    """What a network's ``told`` says of a batch. ``windows`` are those of question_answering.

    ``output``: logits [n, L], [n] (regression), [T, L] (tokens), [T, 2] (answers), vectors [m, D] (embedding).
    """
    output = np.asarray(output, np.float32)
    match batch.task:
        case "token_classification":
            return _of_tokens(batch, output)
        case "question_answering":
            if windows is None:
                raise ValueError("question_answering is told of windows: give theirs")
            scores, answers = best_answers(output, batch.offsets, windows)
            return Told(
                predictions=scores, targets=_objects(windows.answers), number=batch.number, answers=answers,
                questions=_objects(windows.questions),
            )  # fmt: skip
        case "embedding":
            return _of_vectors(batch, output)
        case _:
            return Told(predictions=output, targets=batch.targets, number=batch.number)


def joined(parts: Sequence[Told]) -> Told:
    """What batches, and workers, have told, in the order of the data: the same however they were divided.

    There is one at least, and all are of one task.
    """
    number = np.concatenate([part.number for part in parts])
    order = np.argsort(number, kind="stable")
    first = parts[0]
    if first.counts is not None:
        return _joined_tokens(parts, order)

    def column(name: str) -> npt.NDArray[Any]:
        values = np.concatenate([getattr(part, name) for part in parts])
        return values[order] if len(values) else values

    return Told(number=number[order], **{name: column(name) for name in _columns(first)})


def _columns(told: Told) -> Mapping[str, Any]:
    return {name: value for name, value in vars(told).items() if name not in ("number", "counts")}


def _joined_tokens(parts: Sequence[Told], order: Ints) -> Told:
    counts = np.concatenate([part.counts for part in parts if part.counts is not None])
    places = gathered((np.cumsum(counts) - counts)[order], counts[order])
    return Told(
        predictions=np.concatenate([part.predictions for part in parts])[places],
        targets=np.concatenate([part.targets for part in parts])[places],
        number=np.concatenate([part.number for part in parts])[order],
        counts=counts[order],
    )


def _of_tokens(batch: ExampleBatch, logits_tl: npt.NDArray[np.float32]) -> Told:
    has_class = batch.targets != NO_LABEL
    ends = np.concatenate([[0], np.cumsum(has_class)])
    return Told(
        predictions=logits_tl[has_class].argmax(-1).astype(np.int32),
        targets=batch.targets[has_class],
        number=batch.number,
        counts=np.diff(ends[batch.offsets]),
    )


def _of_vectors(batch: ExampleBatch, vectors_md: npt.NDArray[np.float32]) -> Told:
    """Cosines of anchors and positives where pairs have scores, else their vectors, scaled to length 1."""
    firsts = np.arange(len(batch)) * 2 if batch.examples is None else batch.examples[:-1]
    pairs = np.stack([vectors_md[firsts], vectors_md[firsts + 1]], axis=1)
    pairs = pairs / np.maximum(np.linalg.norm(pairs, axis=-1, keepdims=True), np.finfo(np.float32).tiny)
    found = (pairs[:, 0] * pairs[:, 1]).sum(-1) if len(batch.targets) else pairs
    return Told(predictions=found.astype(np.float32), targets=batch.targets, number=batch.number)


def _objects(values: Sequence[Any]) -> npt.NDArray[Any]:
    """Any values as an array of one dimension, lists too."""
    found = np.empty(len(values), object)
    found[:] = list(values)
    return found
