"""Which weights an optimizer lets decay: matrices and tables, not biases and norms (Devlin et al. 2019, A.2)."""

from __future__ import annotations

from typing import Any

from torch import nn


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Groups for a torch optimizer: what decays, and what does not. A weight that stands at two places counts once.

    Biases and the weights of norms are those with one dimension. Weights that take no gradient are in no group.
    """
    learning = [weight for weight in module.parameters() if weight.requires_grad]
    decaying = [weight for weight in learning if weight.dim() > 1]
    others = [weight for weight in learning if weight.dim() <= 1]
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
