"""Examples as a fine-tuning's loop takes them, and as an evaluation does, which has to know more of some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.finetune_spec import Task
from pipelines.text.example_batch import COLUMNS, LOSSES, ExampleBatch, example_batch
from pipelines.text.training_batch import NO_LABEL, Instances
from pipelines.train.fitting import trial_sizes
from pipelines.train.scores.answers import COLUMNS as WINDOW_COLUMNS
from pipelines.train.scores.answers import Windows
from pipelines.train.source import Batch

Ints = npt.NDArray[np.int64]
TRIAL_ID = 1
"""Token of a trial: any that a vocabulary has."""


@dataclass(frozen=True)
class Asked:
    """Examples to be evaluated on; ``windows`` are those of questions."""

    batch: ExampleBatch
    windows: Windows | None = None

    def counts(self) -> dict[str, int]:
        """See ``Batch``."""
        return self.batch.counts()


@dataclass(frozen=True, kw_only=True)
class TaskBatches:
    """See ``pipelines.train.instance_source.Maker``. ``flops``: of sequences of these lengths."""

    task: Task
    num_labels: int
    id_column: str
    """Column of the documents' ids, which tell the windows of one question."""
    flops: Callable[[Ints], float]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that instances have beside them where ``batch`` gets them."""
        return COLUMNS[self.task]

    @property
    def losses(self) -> Sequence[str]:
        """The one of the task."""
        return (LOSSES[self.task],)

    @property
    def held_out_columns(self) -> Sequence[str]:
        """See ``Maker``."""
        more = (*WINDOW_COLUMNS, self.id_column) if self.task == "question_answering" else ()
        return (*self.columns, *more)

    def batch(self, instances: Instances) -> ExampleBatch:
        """See ``Maker``."""
        return example_batch(instances, self.task, self.num_labels)

    def held_out(self, instances: Instances) -> Asked:
        """See ``Maker``."""
        has_windows = self.task == "question_answering"
        return Asked(self.batch(instances), Windows.of(instances.beside, self.id_column) if has_windows else None)

    def work(self, instances: Instances, batches: Sequence[Batch]) -> float:
        """See ``Maker``."""
        return sum(self.flops(np.diff(batch.offsets)) for batch in batches if isinstance(batch, ExampleBatch))

    def trial(self, config: Any, tokens: int) -> ExampleBatch:
        """A batch of so many tokens for a network of this config, to see whether it fits into memory."""
        count, length = trial_sizes(config, tokens)
        sequences = 2 * max(1, count // 2) if self.task == "embedding" else count
        pairs = np.arange(0, sequences + 1, 2) if self.task == "embedding" else None
        num = sequences if pairs is None else len(pairs) - 1
        return ExampleBatch(
            task=self.task,
            values=np.full(sequences * length, TRIAL_ID, np.int32),
            offsets=np.arange(sequences + 1, dtype=np.int64) * length,
            segment_b_start=np.zeros(sequences, np.int32),
            targets=self._trial_targets(num, num * length),
            number=np.arange(num),
            examples=pairs,
        )

    def _trial_targets(self, num: int, tokens: int) -> npt.NDArray[Any]:
        match self.task:
            case "classification":
                return np.zeros(num, np.int64)
            case "multi_label":
                return np.zeros((num, self.num_labels), np.float32)
            case "token_classification":
                return np.full(tokens, NO_LABEL) if self.num_labels == 0 else np.zeros(tokens, np.int64)
            case "question_answering":
                return np.zeros((num, 2), np.int64)
            case _:
                return np.zeros(num, np.float32)
