"""AdamW over a network's weights, and its state as tensors by the names of the weights.

AdamW: Loshchilov and Hutter 2019, arXiv:1711.05101.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from pipelines.errors import SpecError

MOMENTS = ("exp_avg", "exp_avg_sq")
STEP = "step"


@dataclass(frozen=True, kw_only=True)
class AdamSettings:
    """What decides the updates beside the learning rate. ``max_grad_norm``: 0 leaves gradients as they are."""

    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-6
    max_grad_norm: float = 1.0


def make_optimizer(model: nn.Module, settings: AdamSettings) -> AdamW:
    """AdamW, fused: one kernel for all weights, also on a CPU. Its learning rate is set before each step."""
    groups = parameter_groups(model, settings.weight_decay)
    return AdamW(groups, lr=0.0, betas=settings.betas, eps=settings.epsilon, fused=True)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """What decays, and what does not: biases and the weights of norms, which have one dimension."""
    learning = [weight for _, weight in learned(model)]
    decaying = [weight for weight in learning if weight.dim() > 1]
    others = [weight for weight in learning if weight.dim() <= 1]
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def learned(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Weights that take a gradient, by name; one that stands at two places comes once, under its first name."""
    return ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)


def clip(weights: Sequence[nn.Parameter], max_norm: float) -> Tensor:
    """Scale the gradients down to this length where they are longer (0: never). Their length before: a scalar."""
    if max_norm:
        return torch.nn.utils.clip_grad_norm_(weights, max_norm)
    return torch.nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])


def state_of(model: nn.Module, optimizer: AdamW) -> dict[str, Tensor]:
    """The optimizer's state: NAME.exp_avg and NAME.exp_avg_sq for each weight that it has moved, NAME.step."""
    return {
        f"{name}.{kind}": optimizer.state[weight][kind]
        for name, weight in learned(model)
        if weight in optimizer.state
        for kind in (STEP, *MOMENTS)
    }


def restore(model: nn.Module, optimizer: AdamW, state: Mapping[str, Tensor]) -> None:
    """Put what ``state_of`` gave into an optimizer of the same network. SpecError where it is of another one."""
    weights = dict(learned(model))
    if strange := sorted({name.rpartition(".")[0] for name in state} - weights.keys()):
        raise SpecError(
            f"the optimizer's state is of another network ({len(strange)} weights are not in this one, such as "
            f"{strange[0]}): go on with the architecture that it was trained with"
        )
    for name, weight in weights.items():
        if f"{name}.{STEP}" in state:  # else it was never moved
            kept = {kind: state[f"{name}.{kind}"] for kind in (STEP, *MOMENTS)}
            # A copy each: what was read may be the file itself.
            optimizer.state[weight] = {k: t.to(weight.device, torch.float32, copy=True) for k, t in kept.items()}
