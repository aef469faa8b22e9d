"""The workers of a training: who this one is, and what they tell each other beside gradients.

What they tell each other goes through the CPU (gloo), also where gradients go from GPU to GPU: so nobody waits for a
GPU to learn how many tokens a step has.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Ranks:
    """Worker ``rank`` of ``world``; the first one keeps the clock and writes the checkpoints."""

    rank: int = 0
    world: int = 1
    _group: Any = field(default=None, repr=False)

    @classmethod
    def joined(cls) -> Ranks:
        """All workers of torch's process group; this process alone where there is none. All of them call it."""
        if not dist.is_initialized() or dist.get_world_size() == 1:
            return cls()
        group = None if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")
        return cls(dist.get_rank(), dist.get_world_size(), group)

    @property
    def is_first(self) -> bool:
        """Whether it is the one that keeps the clock and writes."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Of each of the numbers the sum over all workers; whole numbers up to 2**53 are exact."""
        if self.world == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(tensor, group=self._group)
        return tensor.tolist()

    def of_first(self, value: Any) -> Any:
        """What the first worker gave, on all of them."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self._group)
        return box[0]

    def gathered(self, value: Any) -> list[Any]:
        """What each worker gave, in order, on all of them."""
        if self.world == 1:
            return [value]
        found = [None] * self.world
        dist.all_gather_object(found, value, group=self._group)
        return found

    def rows(self, own: Tensor, counts: Sequence[int]) -> list[Tensor]:
        """What each worker gave, in order, on all of them: so many rows each, on the device where its own are."""
        if self.world == 1:
            return [own]
        even = own.new_zeros(max(counts), *own.shape[1:])
        even[: len(own)] = own
        found = [torch.empty_like(even) for _ in counts]
        dist.all_gather(found, even)
        return [rows[:count] for rows, count in zip(found, counts, strict=True)]

    def wrapped(self, model: nn.Module) -> nn.Module:
        """The network with its gradients averaged over the workers as they are made; alone, the network itself.

        Weights become those of the first worker.
        """
        if self.world == 1:
            return model
        weight = next(model.parameters())
        devices = [weight.device] if weight.is_cuda else None
        shared = DistributedDataParallel(model, devices, gradient_as_bucket_view=True)
        shared.broadcast_buffers = False  # no argument: torch is changing its name
        return shared


def keeping(module: nn.Module, share: bool) -> AbstractContextManager[Any]:
    """Within, gradients are shared with the other workers, or kept here to be added to."""
    if share or not isinstance(module, DistributedDataParallel):
        return nullcontext()
    return module.no_sync()
