"""The modules that follow pooling in a sentence-transformers folder, applied to vectors in float32."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipelines.errors import SpecError
from pipelines.model.folder import Head, ModelFolder
from pipelines.model.weights import read_weights


def load_heads(folder: ModelFolder, device: torch.device) -> nn.Sequential:
    """Dense, LayerNorm and inner Normalize of the folder, in order. SpecError where their weights are missing."""
    layers: list[nn.Module] = [_MAKERS[head.kind](head) for head in folder.heads if head.kind != "Dropout"]
    return nn.Sequential(*layers).float().to(device).eval()


class Normalize(nn.Module):
    """Each vector scaled to length 1."""

    def forward(self, vectors_bd: Tensor) -> Tensor:
        """[B, D] to [B, D]."""
        return nn.functional.normalize(vectors_bd, dim=-1)


class Dense(nn.Module):
    """A linear layer, its activation, and on request a residual connection."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        inputs, outputs = int(head.config["in_features"]), int(head.config["out_features"])
        self.linear = nn.Linear(inputs, outputs, bias=bool(head.config.get("bias", True)))
        self.activation = _activation(head)
        self.use_residual = bool(head.config.get("use_residual", False))
        self.residual = nn.Linear(inputs, outputs, bias=False) if self.use_residual and inputs != outputs else None

    def forward(self, vectors_bd: Tensor) -> Tensor:
        """[B, in_features] to [B, out_features]."""
        projected = self.activation(self.linear(vectors_bd))
        if not self.use_residual:
            return projected
        return projected + (vectors_bd if self.residual is None else self.residual(vectors_bd))


class LayerNorm(nn.Module):
    """Layer normalization over the vector."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(int(head.config["dimension"]))

    def forward(self, vectors_bd: Tensor) -> Tensor:
        """[B, D] to [B, D]."""
        return self.norm(vectors_bd)


def _activation(head: Head) -> nn.Module:
    """The activation by its class in torch.nn; any other would be code of the folder's own."""
    name = str(head.config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    found = getattr(nn, name.rsplit(".", 1)[-1], None) if name.startswith("torch.nn.") else None
    if found is None or not issubclass(found, nn.Module):
        raise SpecError(f"Dense in {head.path} has the activation {name}: choose a model with one of torch.nn's")
    return found()


def _with_weights(head: Head, module: nn.Module) -> nn.Module:
    module.load_state_dict(read_weights(head.path))
    return module


_MAKERS: dict[str, Callable[[Head], nn.Module]] = {
    "Dense": lambda head: _with_weights(head, Dense(head)),
    "LayerNorm": lambda head: _with_weights(head, LayerNorm(head)),
    "Normalize": lambda head: Normalize(),
}
