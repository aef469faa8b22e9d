"""What every network under training is, whatever it is to tell: a module of transformers, set for one path.

Packed rows are for a CPU, and for CUDA in half precision, by a kernel that knows no dropout of attention: there is none
then, whatever the config says. Weights keep their precision, float32; ``torch.autocast`` around the call decides that
of the products.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pipelines.errors import SpecError
from pipelines.model.device import Precision
from pipelines.model.dropout import hasten
from pipelines.model.folder import POSITIONS_AFTER_PAD
from pipelines.model.hugging_face import HuggingFaceNetwork, can_pack, set_attention, work_of
from pipelines.model.registry import PACKED

ATTENTION_DROPOUTS = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop")
"""What the families call it."""


class LearningModel(nn.Module):
    """A module with heads, and the network below them, which is ``base``."""

    def __init__(self, module: Any, base: Any, *, packed: bool = False) -> None:
        super().__init__()
        self.module = module
        self.network = _network(base, packed=packed)
        if module.device.type == "cpu":
            hasten(module)

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
        if self.path == "padded" or self.device.type == "cpu" or not any(named.values()):
            return ()
        told = ", ".join(f"{name} {value}" for name, value in named.items() if value)
        return (f"packed rows have no dropout in attention, for which the kernel knows none (the config has {told})",)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.module.device
        return device

    def compute_activations_again(self) -> None:
        """Keep no activations within layers: the backward pass makes them anew. SpecError where the family can't."""
        if not self.module.supports_gradient_checkpointing:
            raise SpecError(f"{type(self.module).__name__} can't make its activations anew: switch that off")
        newer = getattr(self.module, "activation_checkpointing_enable", None)  # which deprecates the other
        (newer or self.module.gradient_checkpointing_enable)({"use_reentrant": False})

    def compile_network(self) -> None:
        """Run what is below the heads through torch.compile, for any lengths."""
        self.network.module.compile(dynamic=True)


def may_pack(device: torch.device, precision: Precision, *, own_class: bool) -> bool:
    """Whether rows are packed where the network can: CUDA's kernel wants half precision.

    What a class of the user's does between tokens is not known.
    """
    return not own_class and (device.type == "cpu" or precision != "float32")


def _network(base: Any, *, packed: bool) -> HuggingFaceNetwork:
    """The network below the heads, with the attention whose backward pass is fast."""
    packs = packed and can_pack(base) and set_attention(base, PACKED)
    if not packs and base.device.type == "cpu":
        set_attention(base, "eager")  # the backward pass of torch's own attention takes a third longer on a CPU
    config = base.config
    first = int(config.pad_token_id) + 1 if config.model_type in POSITIONS_AFTER_PAD else 0
    return HuggingFaceNetwork(base, "packed" if packs else "padded", first, work_of(base))
