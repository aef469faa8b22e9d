"""What an objective makes of instances: "mlm+nsp", "mlm+sop", "mlm", "causal" or "span"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.errors import SpecError
from pipelines.text.masking import Vocabulary, mask
from pipelines.text.span_corruption import corrupt
from pipelines.text.training_batch import NO_LABEL, Instances, TrainingBatch

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Task:
    """An objective and all that its draws depend on beside the instance and its epoch.

    ``share`` of the tokens is masked, or noise (span). SpecError where the vocabulary has not what the objective needs.
    """

    objective: str
    vocabulary: Vocabulary
    seed: int
    share: float = 0.15
    whole_words: bool = False

    def __post_init__(self) -> None:
        if self.objective.startswith("mlm") and self.vocabulary.mask_id is None:
            raise SpecError(f"the tokenizer has no mask token, which {self.objective} needs: add one, or choose causal")
        if self.whole_words and self.objective.startswith("mlm") and not self.vocabulary.continues.any():
            raise SpecError("the tokenizer does not tell which tokens are a word's: leave out whole_words")
        if self.objective == "span" and not self.vocabulary.sentinel_ids:
            raise SpecError("the tokenizer has no sentinels, which span needs: add tokens <extra_id_0> and so on to it")

    def batch(self, instances: Instances) -> TrainingBatch:
        """The instances as the network is to see them, in this order; the same for the same instance and epoch.

        SpecError where they hold an id that the vocabulary does not have.
        """
        largest, size = int(instances.values.max(initial=0)), len(self.vocabulary.special)
        if largest >= size:
            raise SpecError(
                f"an instance has token id {largest}, and the tokenizer {size} ids: train with the tokenizer that the "
                "instances were made with"
            )
        if self.objective == "causal":
            return causal_batch(instances)
        return self._spans(instances) if self.objective == "span" else self._masked(instances)

    def _masked(self, instances: Instances) -> TrainingBatch:
        masked = mask(instances, self.vocabulary, seed=self.seed, share=self.share, whole_words=self.whole_words)
        labels = instances.sentence_labels.astype(np.int64)
        return TrainingBatch(
            objective=self.objective,
            values=masked.values,
            offsets=instances.offsets,
            segment_b_start=instances.segment_b_start,
            positions=masked.positions,
            targets=masked.targets,
            sentence_labels=labels if "+" in self.objective else np.full_like(labels, NO_LABEL),
        )

    def _spans(self, instances: Instances) -> TrainingBatch:
        special, sentinels = self.vocabulary.special, self.vocabulary.sentinel_ids
        corrupted = corrupt(instances, special, sentinels, seed=self.seed, share=self.share)
        return TrainingBatch(
            objective=self.objective,
            values=corrupted.values,
            offsets=corrupted.offsets,
            segment_b_start=np.zeros(len(instances), np.int32),
            positions=np.zeros(0, np.int64),
            targets=corrupted.targets,
            sentence_labels=np.full(len(instances), NO_LABEL),
            target_offsets=corrupted.target_offsets,
        )


def causal_batch(instances: Instances) -> TrainingBatch:
    """Each token but an instance's last is to tell the next one."""
    is_last = np.zeros(len(instances.values), bool)
    is_last[instances.offsets[1:][instances.lengths > 0] - 1] = True
    positions = np.flatnonzero(~is_last)
    return TrainingBatch(
        objective="causal",
        values=instances.values,
        offsets=instances.offsets,
        segment_b_start=instances.segment_b_start,
        positions=positions,
        targets=instances.values[positions + 1].astype(np.int64),
        sentence_labels=np.full(len(instances), NO_LABEL),
    )
