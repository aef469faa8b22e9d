"""Texts, or pairs of them, with one class, several, or a number each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipelines.examples import LABEL, LABELS, VALUE
from pipelines.model.example_tokenizer import ExampleTokenizer
from pipelines.stages.labelled import Labelled
from pipelines.stages.task_examples import TaskExamples, int_lists


def make_text_examples(found: Labelled, task: str, tokenizer: ExampleTokenizer) -> TaskExamples:
    """One example a document; of texts that are too long the end is cut, of a pair the longer one's first."""
    tokens = tokenizer.pairs(*found.texts) if len(found.texts) > 1 else tokenizer.texts(found.texts[0])
    return TaskExamples(
        task=task,
        document=np.arange(len(found.texts[0])),
        values=tokens.values,
        offsets=tokens.offsets,
        segment_b_start=tokens.segment_b_start,
        targets=_targets(found, task),
        stats={"truncated": int(tokens.is_cut.sum())},
    )


def _targets(found: Labelled, task: str) -> dict[str, pa.Array]:
    if task == "regression":
        return {VALUE: pa.array(found.numbers, pa.float32())}
    if task == "classification":
        return {LABEL: pa.array(found.classes.values, pa.int32())}
    return {LABELS: int_lists(found.classes.values, found.classes.offsets)}
