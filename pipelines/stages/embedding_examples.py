"""Texts that belong together: an anchor, its positive and its negatives, or two texts with a score."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pyarrow as pa

from pipelines.examples import SCORE, TEXT_LENGTHS
from pipelines.model.example_tokenizer import ExampleTokenizer
from pipelines.stages.documents import TARGET, values_of
from pipelines.stages.labelled import Labelled
from pipelines.stages.task_examples import TaskExamples, int_lists
from pipelines.text.ranges import ends_of


def make_embedding_examples(found: Labelled, tokenizer: ExampleTokenizer, negatives: Sequence[str]) -> TaskExamples:
    """One example a document, of texts that are tokenized, and cut, each by itself. A negative that is null is none."""
    columns = [*found.texts, *(values_of(found.documents[f"{TARGET}{name}"]) for name in negatives)]
    examples = [[text for text in row if isinstance(text, str)] for row in zip(*columns, strict=True)]
    tokens = tokenizer.texts(list(chain.from_iterable(examples)))
    ends = ends_of(np.array([len(texts) for texts in examples], np.int64))
    scores = pa.nulls(len(examples), pa.float32()) if found.numbers is None else pa.array(found.numbers, pa.float32())
    return TaskExamples(
        task="embedding",
        document=np.arange(len(examples)),
        values=tokens.values,
        offsets=tokens.offsets[ends],
        segment_b_start=np.zeros(len(examples), np.int32),
        targets={TEXT_LENGTHS: int_lists(np.diff(tokens.offsets).astype(np.int32), ends), SCORE: scores},
        stats={"truncated": int(tokens.is_cut.sum()), "examples.texts": len(tokens.is_cut)},
    )
