"""What a task makes of documents: examples, or windows of them, as flat tokens and columns of targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.examples import TARGETS
from pipelines.instances import INPUT_IDS, INSTANCES, NO_LABEL, NUM_TOKENS, SEGMENT_B_START, SENTENCE_LABEL
from pipelines.schema import ragged

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class TaskExamples:
    """n examples of T tokens in all."""

    task: str
    document: Ints  # [n], place of its document, rising
    values: npt.NDArray[np.int32]  # [T]
    offsets: Ints  # [n + 1]
    segment_b_start: npt.NDArray[np.int32]  # [n]
    targets: Mapping[str, pa.Array]
    """The task's columns, n values each."""
    stats: Mapping[str, float] = field(default_factory=dict)

    def columns(self) -> dict[pa.Field, pa.Array]:
        """The columns of the parts (``pipelines.examples``), but for the document's own."""
        ids = INSTANCES.field(INPUT_IDS)
        found = {
            ids: ragged(self.values, self.offsets).cast(ids.type),
            INSTANCES.field(SEGMENT_B_START): pa.array(self.segment_b_start, pa.int32()),
            INSTANCES.field(SENTENCE_LABEL): pa.array(np.full(len(self.document), NO_LABEL, np.int8)),
            INSTANCES.field(NUM_TOKENS): pa.array(np.diff(self.offsets), pa.int32()),
        }
        return found | {field: self.targets[field.name] for field in TARGETS[self.task]}


def int_lists(values: npt.NDArray[np.int32], offsets: Ints) -> pa.Array:
    """n lists of integers of flat values."""
    return ragged(values, offsets).cast(pa.list_(pa.int32()))
