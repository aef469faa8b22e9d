"""Linear layers with their weights laid out once for the CPU's matrix kernels, not at each call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

TYPICAL_ROWS = 2048
"""Rows of a product that the layout is chosen for; any number runs."""


def can_prepack() -> bool:
    """Whether this torch build has oneDNN's linear layers."""
    kernels: Any = torch.ops.mkldnn
    return torch.backends.mkldnn.is_available() and all(
        hasattr(kernels, name) for name in ("_reorder_linear_weight", "_linear_pointwise")
    )


def prepack(network: nn.Module) -> None:
    """Replace every nn.Linear in place. For networks on a CPU, in float32 or bfloat16, that only infer."""
    for name, child in network.named_children():
        if type(child) is nn.Linear:
            setattr(network, name, PrepackedLinear(child))
        else:
            prepack(child)


class PrepackedLinear(nn.Module):
    """What ``nn.Linear`` does. The kernel is the one that torch.compile calls in frozen networks."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), TYPICAL_ROWS)
        self.weight: Tensor = packed  # opaque, but it tells its dtype, which T5 asks for
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, inputs: Tensor) -> Tensor:
        """[..., in_features] to [..., out_features]."""
        outputs: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self.weight, self.bias, "none", [], "")
        return outputs
