"""A network under training: from a batch the sums of its losses, each by its name.

Logits are made at the tokens that are told alone, and the vector that tells sentences is each instance's first, so that
rows may lie end to end (packed) as well as side by side (padded).

Shapes: n instances of T tokens, M tokens that are told, D width, V tokens of the vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.errors import SpecError
from pipelines.model.hugging_face import work_of
from pipelines.model.learning import LearningModel
from pipelines.model.losses import LossSum, logit_loss, token_loss
from pipelines.model.pretraining_heads import mask_logits, next_logits, output_bias, sentence_logits
from pipelines.model.span_loss import span_loss
from pipelines.model.training_inputs import or_blank, to_device, told_tokens, vectors
from pipelines.pretrain_spec import Objective
from pipelines.text.training_batch import TrainingBatch

FORWARD_AND_BACKWARD = 3.0
"""Work of a training step in forward passes: the gradients of weights and of inputs each take another."""


class PretrainingModel(LearningModel):
    """A module of transformers with heads for an objective.

    Losses are float32. Every weight has a gradient after each backward pass, whatever the batch tells.
    """

    def __init__(self, module: Any, objective: Objective, *, packed: bool = False) -> None:
        super().__init__(module, module.get_encoder() if objective == "span" else module.base_model, packed=packed)
        self.objective = objective
        words, _, self._sentences = objective.partition("+")
        self._name = "clm" if words == "causal" else words
        self._token_logits = mask_logits(module) if words == "mlm" else next_logits(module)
        self._sentence_logits = sentence_logits(module) if self._sentences else None

    def forward(self, batch: TrainingBatch) -> dict[str, LossSum]:
        """The losses of the objective: "mlm", "clm" or "span", and "nsp" or "sop" where it tells sentences."""
        batch = or_blank(batch, self.network.pad_id)
        if self.objective == "span":
            return {self._name: span_loss(self.module, batch, self.network.pad_id, self.device)}
        hidden_td = vectors(self.network, batch, self.device)
        losses = {self._name: self._tokens(hidden_td, batch)}
        if self._sentence_logits:
            losses[self._sentences] = self._told_sentences(hidden_td, batch)
        return losses

    def flops(self, lengths: npt.NDArray[np.int64], num_targets: int = 0) -> float:
        """Useful FLOPs of a training step over instances of these lengths, of whose tokens ``num_targets`` are told.

        Neither padding nor activations that are made anew are counted, nor is a decoder's attention.
        """
        head = self.config.vocab_size * self.config.hidden_size
        if self.objective == "span":
            head += work_of(self.module.get_decoder()).num_weights
        return FORWARD_AND_BACKWARD * (self.network.work.useful_flops(lengths) + 2.0 * head * num_targets)

    def set_output_bias(self, log_frequencies_v: npt.NDArray[np.float32]) -> None:
        """Begin where every token is told by how frequent it is in the corpus. SpecError where the head has no bias."""
        bias = output_bias(self.module)
        if bias is None:
            raise SpecError(f"{type(self.module).__name__} has no output bias: leave it as it is (zero)")
        with torch.no_grad():
            bias.copy_(torch.from_numpy(log_frequencies_v))

    def compile_network(self) -> None:
        """See ``LearningModel``; a decoder with it."""
        (self.module if self.objective == "span" else self.network.module).compile(dynamic=True)

    def _tokens(self, hidden_td: Tensor, batch: TrainingBatch) -> LossSum:
        positions, targets = told_tokens(batch.positions, batch.targets, self.device)
        count = len(batch.targets)
        return token_loss(self._token_logits, hidden_td, positions, targets, self.config.vocab_size, count)

    def _told_sentences(self, hidden_td: Tensor, batch: TrainingBatch) -> LossSum:
        assert self._sentence_logits
        firsts, labels = (to_device(array, self.device) for array in (batch.offsets[:-1], batch.sentence_labels))
        return logit_loss(self._sentence_logits(hidden_td[firsts]), labels, batch.counts()[self._sentences])
