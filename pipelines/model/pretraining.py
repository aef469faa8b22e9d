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
from torch import Tensor, nn

from pipelines.errors import SpecError
from pipelines.model.folder import POSITIONS_AFTER_PAD
from pipelines.model.hugging_face import HuggingFaceNetwork, can_pack, set_attention, work_of
from pipelines.model.losses import LossSum, logit_loss, token_loss
from pipelines.model.pretraining_heads import mask_logits, next_logits, output_bias, sentence_logits
from pipelines.model.registry import PACKED
from pipelines.model.span_loss import span_loss
from pipelines.model.training_inputs import or_blank, to_device, vectors
from pipelines.pretrain_spec import Objective
from pipelines.text.training_batch import TrainingBatch

ATTENTION_DROPOUTS = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop")
"""What the families call it."""
FORWARD_AND_BACKWARD = 3.0
"""Work of a training step in forward passes: the gradients of weights and of inputs each take another."""


class PretrainingModel(nn.Module):
    """A module of transformers with heads for an objective, set for one path.

    Packed is for CUDA in half precision, by a kernel that knows no dropout of attention: there is none then, whatever
    the config says. Weights keep their precision, float32; ``torch.autocast`` around the call decides that of the
    products. Losses are float32. Every weight has a gradient after each backward pass, whatever the batch tells.
    """

    def __init__(self, module: Any, objective: Objective, *, packed: bool = False) -> None:
        super().__init__()
        self.module, self.objective = module, objective
        self.network = _network(module.get_encoder() if objective == "span" else module.base_model, packed=packed)
        words, _, self._sentences = objective.partition("+")
        self._name = "clm" if words == "causal" else words
        self._token_logits = mask_logits(module) if words == "mlm" else next_logits(module)
        self._sentence_logits = sentence_logits(module) if self._sentences else None

    @property
    def config(self) -> Any:
        """The config of transformers."""
        return self.module.config

    @property
    def path(self) -> str:
        """Whether rows are packed or padded."""
        return self.network.path

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is not as the config says, a line each."""
        named = {name: getattr(self.config, name, 0) for name in ATTENTION_DROPOUTS}
        if self.path == "padded" or not any(named.values()):
            return ()
        told = ", ".join(f"{name} {value}" for name, value in named.items() if value)
        return (f"packed rows have no dropout in attention, for which the kernel knows none (the config has {told})",)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.module.device
        return device

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

    def compute_activations_again(self) -> None:
        """Keep no activations within layers: the backward pass makes them anew. SpecError where the family can't."""
        if not self.module.supports_gradient_checkpointing:
            raise SpecError(f"{type(self.module).__name__} can't make its activations anew: switch that off")
        newer = getattr(self.module, "activation_checkpointing_enable", None)  # which deprecates the other
        (newer or self.module.gradient_checkpointing_enable)({"use_reentrant": False})

    def compile_network(self) -> None:
        """Run what is below the heads through torch.compile, for any lengths."""
        (self.module if self.objective == "span" else self.network.module).compile(dynamic=True)

    def _tokens(self, hidden_td: Tensor, batch: TrainingBatch) -> LossSum:
        positions, targets = (to_device(array, self.device) for array in (batch.positions, batch.targets))
        return token_loss(self._token_logits, hidden_td, positions, targets, self.config.vocab_size)

    def _told_sentences(self, hidden_td: Tensor, batch: TrainingBatch) -> LossSum:
        assert self._sentence_logits
        firsts, labels = (to_device(array, self.device) for array in (batch.offsets[:-1], batch.sentence_labels))
        return logit_loss(self._sentence_logits(hidden_td[firsts]), labels, batch.counts()[self._sentences])


def _network(base: Any, *, packed: bool) -> HuggingFaceNetwork:
    """The network below the heads, with the attention whose backward pass is fast."""
    packs = packed and can_pack(base) and set_attention(base, PACKED)
    if not packs and base.device.type == "cpu":
        set_attention(base, "eager")  # the backward pass of torch's own attention takes a third longer on a CPU
    config = base.config
    first = int(config.pad_token_id) + 1 if config.model_type in POSITIONS_AFTER_PAD else 0
    return HuggingFaceNetwork(base, "packed" if packs else "padded", first, work_of(base))
