"""Dropout on a CPU at the speed of its random bits.

torch's own asks a generator for each number by itself: a tenth of a training step in bfloat16. Here one draw of 64 bits
decides four numbers. Draws are from torch's default generator, as torch's are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

DRAWS = 2**16
"""Values that 16 bits have: shares are rounded to one of them."""
A_WORD = 4
"""Draws of 16 bits in one of 64."""


def drop(values: Tensor, share: float) -> Tensor:
    """The values, each 0 by this chance, to the nearest 1/65536; the others are scaled so that the mean stays.

    A share that rounds to nothing or to all, and what is not on a CPU, is torch's own.
    """
    dropped = round(share * DRAWS)
    if values.device.type != "cpu" or not 0 < dropped < DRAWS:
        return dropout(values, share)
    kept = _draws(values.shape) >= dropped - DRAWS // 2
    return values * kept.to(values.dtype).mul_(DRAWS / (DRAWS - dropped))


def _draws(shape: torch.Size) -> Tensor:
    """int16 of this shape, all values alike."""
    words = torch.empty(-(-shape.numel() // A_WORD), dtype=torch.int64)
    words.random_(-(2**63), None)
    return words.view(torch.int16)[: shape.numel()].view(shape)


class FastDropout(nn.Dropout):
    """``nn.Dropout`` by ``drop``."""

    def forward(self, input: Tensor) -> Tensor:
        """See ``drop``; the values as they are in evaluation."""
        return drop(input, self.p) if self.training else input


def hasten(module: nn.Module) -> None:
    """Put ``FastDropout`` in the place of each ``nn.Dropout`` below the module; of subclasses nothing is known."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                fast = FastDropout(child.p)
                setattr(parent, name, fast.train(child.training))
