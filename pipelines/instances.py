"""The Arrow contract of instances: what prepare writes and pretraining reads, one row an instance, unmasked.

An instance of the same file, epoch and seed is masked the same wherever it is read.
"""

from __future__ import annotations

import pyarrow as pa

INPUT_IDS = "input_ids"
SEGMENT_B_START = "segment_b_start"
SENTENCE_LABEL = "next_sentence_label"
NUM_TOKENS = "num_tokens"

NO_LABEL = -100
"""Label of an instance that has none, as transformers has it."""
ROW_GROUP = 1024
"""Most instances of a row group, which is what training reads and shuffles as one."""
HELD_OUT = "held_out/"
"""Folder of the output beside parts/ that holds, under the same names, the instances of held-out documents."""

INSTANCES = pa.schema(
    [
        pa.field(INPUT_IDS, pa.list_(pa.int32()), nullable=False),  # special tokens included
        pa.field(SEGMENT_B_START, pa.int32(), nullable=False),  # place of segment B's first token; 0: one segment
        # 0: B follows A (in order); 1: it is from elsewhere (swapped, with mlm+sop); NO_LABEL
        pa.field(SENTENCE_LABEL, pa.int8(), nullable=False),
        pa.field(NUM_TOKENS, pa.int32(), nullable=False),
    ]
)
"""Columns of an instance; the id of the document that its first segment is from goes before, in its own type."""
