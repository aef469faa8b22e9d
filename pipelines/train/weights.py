"""A network's weights as tensors by name, each once."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pipelines.errors import SpecError


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Weights and kept buffers, by name; one that stands at two places comes once, under its first name."""
    named = model.state_dict(keep_vars=True)
    first: dict[int, str] = {}
    for name, tensor in named.items():
        first.setdefault(id(tensor), name)
    return {name: named[name] for name in first.values()}


def put_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put what ``weights_of`` gave into a network of the same kind, on its device. SpecError where it is another."""
    own = weights_of(model)
    strange = sorted(own.keys() ^ weights.keys())
    strange += [name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape]
    if strange:
        raise SpecError(
            f"the checkpoint is of another network ({len(strange)} weights differ, such as {strange[0]}): go on with "
            "the architecture that it was trained with"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])
