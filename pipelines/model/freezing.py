"""Which weights of a network stay as they are while it learns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from pipelines.errors import SpecError

EMBEDDINGS = "embed"
"""Part of the name of what is below the layers."""


def freeze(base: Any, num_layers: int) -> None:
    """Let the lowest so many layers of a network learn nothing, nor the embeddings below them; 0: all learns.

    Tables that all layers share, such as relative positions, count as embeddings. SpecError where there are not as many
    layers, or they share their weights.
    """
    if not num_layers:
        return
    layers = _layers(base)
    if num_layers > len(layers):
        raise SpecError(
            f"frozen_layers is {num_layers}, {type(base).__name__} has {len(layers)} layers: write that at most"
        )
    for frozen in (*layers[:num_layers], *_embeddings(base)):
        frozen.requires_grad_(False)


def _layers(base: Any) -> list[nn.Module]:
    """The layers from the lowest on."""
    count = base.config.num_hidden_layers
    stacks = [child for child in base.modules() if isinstance(child, nn.ModuleList) and len(child) == count]
    if base.config.model_type == "albert" or not stacks:
        raise SpecError(
            f"the layers of {type(base).__name__} can't be frozen one by one, they share their weights or are not "
            "listed: write frozen_layers 0"
        )
    return list(stacks[0])


def _embeddings(base: Any) -> Iterator[nn.Module]:
    for name, child in base.named_modules():
        if isinstance(child, nn.Embedding) or EMBEDDINGS in name.rpartition(".")[2]:
            yield child
