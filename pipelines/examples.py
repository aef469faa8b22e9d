"""The Arrow contract of examples: what fine-tuning and evaluation read, one row an example (or a window of one).

An example is an instance (``pipelines.instances``) with targets behind it, so that one feed serves both.
"""

from __future__ import annotations

import pyarrow as pa

from pipelines.instances import INSTANCES

LABEL = "label"
LABELS = "labels"
VALUE = "value"
TOKEN_LABELS = "token_labels"
ANSWER_START, ANSWER_END = "answer_start", "answer_end"
CHAR_STARTS, CHAR_ENDS = "char_starts", "char_ends"
CONTEXT, ANSWERS = "context", "answers"
TEXT_LENGTHS = "text_lengths"
SCORE = "score"

TARGETS: dict[str, tuple[pa.Field, ...]] = {
    "classification": (pa.field(LABEL, pa.int32(), nullable=False),),
    "multi_label": (pa.field(LABELS, pa.list_(pa.int32()), nullable=False),),  # rising, each once
    "regression": (pa.field(VALUE, pa.float32(), nullable=False),),
    # one a token of input_ids; -100: special tokens, and all but the first token of a word
    "token_classification": (pa.field(TOKEN_LABELS, pa.list_(pa.int32()), nullable=False),),
    # A window of a context, question before it. Its answer's first and last token, both 0 (the first token) where the
    # window has none; where tokens of the context lie in it, -1 for other tokens; the whole context; what is right, []
    # where there is no answer.
    "question_answering": (
        pa.field(ANSWER_START, pa.int32(), nullable=False),
        pa.field(ANSWER_END, pa.int32(), nullable=False),
        pa.field(CHAR_STARTS, pa.list_(pa.int32()), nullable=False),
        pa.field(CHAR_ENDS, pa.list_(pa.int32()), nullable=False),
        pa.field(CONTEXT, pa.large_string(), nullable=False),
        pa.field(ANSWERS, pa.list_(pa.large_string()), nullable=False),
    ),
    # Anchor, positive and negatives end to end in input_ids, each with special tokens of its own. Null: no score.
    "embedding": (
        pa.field(TEXT_LENGTHS, pa.list_(pa.int32()), nullable=False),
        pa.field(SCORE, pa.float32()),
    ),
}
"""Columns of a task's targets, behind those of an instance."""


def examples_schema(task: str) -> pa.Schema:
    """Columns of a task's examples; the id of the document goes before, in its own type."""
    return pa.schema([*INSTANCES, *TARGETS[task]])
