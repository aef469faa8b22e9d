"""A network under fine-tuning: from a batch the sum of its task's loss, and what it tells of each example.

Padded rows run through the family's own class (...ForSequenceClassification and so on), so that what is trained is what
is saved. Packed rows run through its network, whose vectors the same class's head is given. An embedding model has
pooling and further modules in the head's place.

Shapes: n examples of m sequences of T tokens in all, L classes, D numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.model.abilities import ClassifierKind
from pipelines.model.contrast import ANCHOR, POSITIVE, Roles, match
from pipelines.model.learning import LearningModel
from pipelines.model.lesson import Lesson
from pipelines.model.losses import LossSum
from pipelines.model.own_head import head_beside, logits_of
from pipelines.model.sentence_head import SentenceHead
from pipelines.model.task_losses import answer_loss, class_loss, classes_loss, score_loss, value_loss
from pipelines.model.training_inputs import padded_inputs, to_device, vectors
from pipelines.text.example_batch import LOSSES, ExampleBatch

KINDS: dict[str, ClassifierKind] = {
    "classification": "sequence",
    "multi_label": "sequence",
    "regression": "sequence",
    "token_classification": "token",
    "question_answering": "answer",
}
"""What the logits of a task are of; an embedding has none."""
LossOf = Callable[[Tensor], LossSum]
"""From the vectors of a batch, [m, D], its part of a loss that other batches have a part in."""


class FinetuningModel(LearningModel):
    """A module of transformers with a head for a lesson's task, or with the ``sentence_head`` of an embedding model.

    Losses are float32. Every weight that learns has a gradient after each backward pass, whatever the batch tells.
    """

    def __init__(
        self, module: Any, lesson: Lesson, *, sentence_head: SentenceHead | None = None, packed: bool = False
    ) -> None:
        super().__init__(module, module.base_model, packed=packed)
        self.lesson = lesson
        self.sentence_head = None if sentence_head is None else sentence_head.to(self.device)
        weights = torch.tensor(lesson.class_weights, device=self.device) if lesson.class_weights else None
        self.register_buffer("_weights_l", weights, persistent=False)
        self._packed_logits = self._beside() if self.path == "packed" and sentence_head is None else None

    @property
    def temperature(self) -> float | None:
        """Of a loss that is of all texts of a global batch at once; None where each micro-batch has its own."""
        return self.lesson.temperature if self.lesson.is_contrastive else None

    def forward(self, batch: ExampleBatch, loss_of: LossOf | None = None) -> dict[str, LossSum]:
        """The loss of the task by its name in ``LOSSES``; ``loss_of`` is asked in place of the task's own.

        Without it the negatives of a contrastive loss are those of the batch.
        """
        told = self._told(batch)
        return {LOSSES[self.lesson.task]: loss_of(told) if loss_of else self._loss(told, batch)}

    @torch.no_grad()
    def told(self, batch: ExampleBatch) -> Tensor:
        """What is told of the examples, float32: logits [n, L], [n] (regression), [T, L] (tokens) or [T, 2] (answers).

        Vectors [m, D] of an embedding model.
        """
        return self._told(batch)

    @torch.no_grad()
    def assess(self, batch: ExampleBatch) -> tuple[dict[str, LossSum], Tensor]:
        """What ``forward`` and ``told`` tell, in one pass."""
        told = self._told(batch)
        return {LOSSES[self.lesson.task]: self._loss(told, batch)}, told

    def flops(self, lengths: npt.NDArray[np.int64], num_targets: int = 0) -> float:
        """Useful FLOPs of a training step over sequences of these lengths; heads are too small to count.

        The backward pass takes two forward passes over the weights that learn, and none below them.
        """
        weights = list(self.network.module.parameters())
        learning = sum(weight.numel() for weight in weights if weight.requires_grad)
        share = learning / sum(weight.numel() for weight in weights)
        return (1 + 2 * share) * self.network.work.useful_flops(lengths)

    def _told(self, batch: ExampleBatch) -> Tensor:
        """Logits or vectors as ``told`` has them, with a gradient."""
        found = self._outputs(_or_blank(batch, self.network.pad_id)).float()
        found = found[:, 0] if self.lesson.task == "regression" else found
        return found if len(batch) else found[:0]

    def _outputs(self, batch: ExampleBatch) -> Tensor:
        """Vectors of sequences; where there is a head its logits."""
        if self._packed_logits:
            return self._packed_logits(batch)
        if self.sentence_head is None:
            return self._padded_logits(batch)
        lengths = to_device(np.diff(batch.offsets), self.device)
        found: Tensor = self.sentence_head(vectors(self.network, batch, self.device), lengths)
        return found

    def _padded_logits(self, batch: ExampleBatch) -> Tensor:
        ids, mask, types = padded_inputs(batch, self.network.pad_id, self.device)
        typed = {"token_type_ids": types} if types is not None and self.network.has_types else {}
        found = self.module(input_ids=ids, attention_mask=mask, return_dict=True, **typed)
        columns, lengths = np.arange(ids.shape[1]), np.diff(batch.offsets)
        places = np.flatnonzero(columns < lengths[:, None])  # known here: a GPU that were asked would be waited for
        return logits_of(found, KINDS[self.lesson.task], to_device(places, self.device))

    def _beside(self) -> Callable[[ExampleBatch], Tensor]:
        """Logits by the head beside the network. (A head that were an attribute would be kept twice.)"""
        head = head_beside(self.module, KINDS[self.lesson.task])

        def logits(batch: ExampleBatch) -> Tensor:
            head.whole.training = self.training
            found: Tensor = head(vectors(self.network, batch, self.device), batch.values, np.diff(batch.offsets))
            return found

        return logits

    def _loss(self, told: Tensor, batch: ExampleBatch) -> LossSum:
        targets = to_device(batch.targets, self.device)
        task, smoothing = self.lesson.task, self.lesson.label_smoothing
        if task in ("classification", "token_classification"):
            return class_loss(told, targets, batch.num_told, self._weights_l, smoothing)
        if task == "multi_label":
            return classes_loss(told, targets)
        if task == "regression":
            return value_loss(told, targets)
        if task == "question_answering":
            return answer_loss(told, targets, np.diff(batch.offsets).tolist() if len(batch) else [])
        return self._contrast(told, batch) if self.lesson.is_contrastive else self._scores(told, targets, batch)

    def _contrast(self, vectors_md: Tensor, batch: ExampleBatch) -> LossSum:
        """The batch by itself."""
        found = match(vectors_md, Roles.of(batch), self.lesson.temperature)
        return LossSum(found.losses.sum(), len(batch), found.correct.sum().float())

    def _scores(self, vectors_md: Tensor, scores: Tensor, batch: ExampleBatch) -> LossSum:
        places = Roles.of(batch).places
        first, second = (to_device(np.flatnonzero(places == role), self.device) for role in (ANCHOR, POSITIVE))
        return score_loss(vectors_md[first], vectors_md[second], scores)


def _or_blank(batch: ExampleBatch, pad_id: int) -> ExampleBatch:
    """The batch, or in place of one without examples a single pad token, so that each weight has a gradient."""
    if len(batch):
        return batch
    return replace(
        batch,
        values=np.array([pad_id], np.int32),
        offsets=np.array([0, 1]),
        segment_b_start=np.zeros(1, np.int32),
    )
