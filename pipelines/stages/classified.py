"""A classifier's logits as the column ``classify``, a value a chunk.

    labels = read_labels(folder)
    logits = harvest.values  # a ``pipelines.model.classifier.HeadLogits``
    table = table.append_column("classify", classify_column(labels, logits, tokens, aggregation="simple"))

A chunk that failed has a value too, of NaN: its row is left out by whoever knows of the failure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.model.inputs import Inputs
from pipelines.model.labels import Labels
from pipelines.schema import ANSWER, CLASS, CLASSES, ENTITY, VALUE, VALUES
from pipelines.text.entities import Aggregation, Entities, find_entities
from pipelines.text.probabilities import Floats, sigmoid, softmax
from pipelines.text.spans import Answers, find_answers

LIKELY = 0.5
"""Probability from which a label that excludes no other is given."""


def classify_type(labels: Labels) -> pa.DataType:
    """Type of the column, of ``pipelines.schema``."""
    if labels.kind == "token":
        return pa.list_(ENTITY)
    if labels.kind == "answer":
        return ANSWER
    if labels.problem == "regression":
        return VALUE if len(labels.names) == 1 else VALUES
    return CLASS if labels.problem == "single_label" else CLASSES


def classify_column(
    labels: Labels,
    logits: npt.NDArray[Any],
    tokens: Inputs,
    *,
    aggregation: Aggregation = "simple",
    max_answer_tokens: int = 30,
    cls_id: int | None = None,
) -> pa.Array:
    """The column of C chunks, of ``classify_type``.

    ``logits`` are [C, L] of chunks, [T, L] of tokens, [T, 2] of answers. ``aggregation`` puts tokens together to
    entities (``pipelines.text.entities``). An answer has at most ``max_answer_tokens``, and none where the token
    ``cls_id``, first in its chunk, says so (``pipelines.text.spans``). ValueError where tokens and answers lack chars.
    """
    if labels.kind == "sequence":
        return _of_chunks(labels, logits)
    if tokens.chars is None:
        raise ValueError("tokens come without chars: ask the tokenizer for them")
    if labels.kind == "token":
        found = find_entities(softmax(logits), tokens.offsets, tokens.chars, tokens.words, labels.names, aggregation)
        return entities_column(found)
    is_cls = np.zeros(len(tokens.values), bool)
    firsts = tokens.offsets[:-1]
    is_cls[firsts] = tokens.values[firsts] == cls_id
    return answers_column(find_answers(logits, tokens.offsets, tokens.chars, tokens.words, is_cls, max_answer_tokens))


def _of_chunks(labels: Labels, logits: npt.NDArray[Any]) -> pa.Array:
    if labels.problem == "single_label":
        return classes_column(softmax(logits), labels.names)
    if labels.problem == "multi_label":
        return multi_classes_column(sigmoid(logits), labels.names)
    one = len(labels.names) == 1
    values = {"value": pa.array(logits[:, 0], pa.float32())} if one else {"values": _lists(logits)}
    return _struct(values, VALUE if one else VALUES)


def classes_column(probabilities_nl: Floats, names: tuple[str, ...]) -> pa.Array:
    """CLASS of each chunk."""
    best = probabilities_nl.argmax(axis=1)
    values = {
        "label": pa.array(names, pa.string()).take(pa.array(best)),
        "probability": pa.array(probabilities_nl[np.arange(len(best)), best], pa.float32()),
        "probabilities": _lists(probabilities_nl),
    }
    return _struct(values, CLASS)


def multi_classes_column(probabilities_nl: Floats, names: tuple[str, ...]) -> pa.Array:
    """CLASSES of each chunk."""
    likely = probabilities_nl >= LIKELY
    found = pa.array(names, pa.string()).take(pa.array(np.nonzero(likely)[1]))
    labels = pa.ListArray.from_arrays(_offsets(likely.sum(axis=1)), found)
    return _struct({"labels": labels, "probabilities": _lists(probabilities_nl)}, CLASSES)


def entities_column(found: Entities) -> pa.Array:
    """list<ENTITY> of each chunk, in the order of the text; empty where it has none."""
    values = {
        "label": pa.array(found.labels, pa.string()),
        "probability": pa.array(found.probabilities, pa.float32()),
        "char_start": pa.array(found.char_start, pa.int64()),
        "char_end": pa.array(found.char_end, pa.int64()),
    }
    return pa.ListArray.from_arrays(_offsets(found.counts), _struct(values, ENTITY))


def answers_column(found: Answers) -> pa.Array:
    """ANSWER of each chunk."""
    none = found.char_start < 0
    values = {
        "char_start": pa.array(found.char_start, pa.int64(), mask=none),
        "char_end": pa.array(found.char_end, pa.int64(), mask=none),
        "probability": pa.array(found.probability, pa.float32(), mask=none),
        "no_answer": pa.array(found.no_answer, pa.float32(), mask=np.isnan(found.no_answer)),
    }
    return _struct(values, ANSWER)


def _struct(values: dict[str, pa.Array], kind: pa.DataType) -> pa.Array:
    return pa.StructArray.from_arrays([values[field.name] for field in kind], fields=list(kind))


def _lists(numbers_nl: npt.NDArray[Any]) -> pa.Array:
    count, length = numbers_nl.shape
    offsets = pa.array(np.arange(count + 1) * length, pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(numbers_nl.ravel(), pa.float32()))


def _offsets(counts: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
