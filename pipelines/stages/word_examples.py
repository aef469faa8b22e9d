"""Words with a tag each: a word's first token is to tell it, the others and special tokens are not asked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.examples import TOKEN_LABELS
from pipelines.instances import NO_LABEL
from pipelines.model.example_tokenizer import ExampleTokenizer, TokenizedExamples
from pipelines.stages.labelled import Labelled
from pipelines.stages.task_examples import TaskExamples, int_lists
from pipelines.text.ragged import Ragged


def make_word_examples(found: Labelled, tokenizer: ExampleTokenizer) -> TaskExamples:
    """One example a document. Words whose first token is beyond the end are cut, and counted."""
    tokens = tokenizer.words(found.texts[0])
    labels = token_labels(tokens, found.classes)
    num_told = int((labels != NO_LABEL).sum())
    return TaskExamples(
        task="token_classification",
        document=np.arange(len(found.texts[0])),
        values=tokens.values,
        offsets=tokens.offsets,
        segment_b_start=tokens.segment_b_start,
        targets={TOKEN_LABELS: int_lists(labels, tokens.offsets)},
        stats={
            "truncated": int(tokens.is_cut.sum()),
            "examples.words": len(found.classes.values),
            "examples.untold_words": len(found.classes.values) - num_told,
        },
    )


def token_labels(tokens: TokenizedExamples, tags: Ragged) -> npt.NDArray[np.int32]:
    """int32[T]: the tag of a word at its first token, NO_LABEL elsewhere."""
    assert tokens.words is not None
    example = np.repeat(np.arange(len(tags)), np.diff(tokens.offsets))
    is_first = tokens.words >= 0
    is_first[1:] &= (tokens.words[1:] != tokens.words[:-1]) | (example[1:] != example[:-1])
    labels = np.full(len(tokens.values), NO_LABEL, np.int32)
    labels[is_first] = tags.values[tags.offsets[:-1][example[is_first]] + tokens.words[is_first]]
    return labels
