"""One step of a training: gradients of the micro-batches of all workers, added up, and one update of the weights.

The loss of a step is, for each name, the sum over all workers and micro-batches divided by the count over all of them,
so that it does not depend on how the batch was cut. Nothing here waits for a GPU: sums stay there until they are asked
for, and so does the note of the first step whose loss was no number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from pipelines.model.device import DTYPES, Precision
from pipelines.model.finetuning import LossOf
from pipelines.text.draws import bits
from pipelines.train.optimizer import AdamSettings, clip, learned, make_optimizer
from pipelines.train.ranks import Ranks, keeping
from pipelines.train.rehearsal import rehearse
from pipelines.train.source import Batch, LossSum, Share

DROPOUT = 0x64726F70
"""Key of the draws for dropout, so that they are none of those of masks or of the order."""
MICRO_BATCHES = 2**20
"""More micro-batches than a step has."""
FINE = -1
UNWEIGHTED: Mapping[str, float] = {}


@dataclass(frozen=True)
class NotFinite:
    """The first step whose loss or gradient was no number. ``micro_batch``: None where this worker's loss was one."""

    step: int
    micro_batch: int | None


class Stepper:
    """Moves the weights of a network. All workers make the same steps, each with micro-batches of its own.

    ``model`` gives from a batch a LossSum for each name; ``loss_weights`` are what their means are multiplied by before
    they are added up, 1 where there is none. Each micro-batch has dropout of its own: a function of the
    seed, of the step and of its place in it. Where the model has a ``temperature``, its loss is of the vectors of all
    micro-batches at once (``pipelines.train.rehearsal``).
    """

    def __init__(
        self,
        model: nn.Module,
        settings: AdamSettings,
        *,
        losses: Sequence[str],
        ranks: Ranks = Ranks(),
        seed: int = 0,
        precision: Precision = "float32",
        loss_weights: Mapping[str, float] = UNWEIGHTED,
    ) -> None:
        self.model, self.optimizer = model, make_optimizer(model, settings)
        self._settings, self._losses, self._ranks, self._seed = settings, tuple(losses), ranks, seed
        self._precision, self._loss_weights = precision, dict(loss_weights)
        self._module = ranks.wrapped(model)
        self._weights = [weight for _, weight in learned(model)]
        self.device = next(model.parameters()).device
        self._sums = torch.zeros(2 * len(self._losses), dtype=torch.float64, device=self.device)
        self._strange = torch.full((), FINE, device=self.device)
        self._local_strange = torch.full((), FINE, device=self.device)
        self._norm = torch.zeros((), device=self.device)

    def step(self, number: int, share: Share, counts: Mapping[str, int], learning_rate: float) -> None:
        """Step ``number``; ``counts`` are what the losses tell on all workers."""
        if not self.model.training:
            self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        # Workers' gradients are averaged, and should be added.
        shared = {name: self._ranks.world * self._loss_weights.get(name, 1.0) for name in self._losses}
        weights = {name: shared[name] / counts[name] if counts[name] else 0.0 for name in self._losses}
        for index, (batch, how) in enumerate(zip(share.batches, self._parts(number, share.batches), strict=True)):
            self._sow(dropout_seed(self._seed, number, self._ranks.rank, index))
            with keeping(self._module, share=index == len(share.batches) - 1):
                self._backward(number * MICRO_BATCHES + index, batch, how, weights)
        self._norm = clip(self._weights, self._settings.max_grad_norm)
        self._strange = _noted(self._strange, self._norm, number)
        _set_rate(self.optimizer, learning_rate)
        self.optimizer.step()

    def taken(self) -> tuple[list[float], float]:
        """Since the last call: of each loss its sum and how much was told right, here; length of the last gradient.

        Waits until the steps are done.
        """
        *sums, norm = torch.cat([self._sums, self._norm.double()[None]]).tolist()
        self._sums.zero_()
        return sums, norm

    def not_finite(self) -> NotFinite | None:
        """The first step that went wrong, as far as this worker sees; waits until the steps are done."""
        by_norm, by_loss = torch.stack([self._strange, self._local_strange]).tolist()
        if by_norm == by_loss == FINE:
            return None
        step, micro_batch = divmod(by_loss, MICRO_BATCHES)
        if by_loss == FINE or (by_norm != FINE and by_norm < step):
            return NotFinite(by_norm, None)
        return NotFinite(step, micro_batch)

    def autocast(self) -> Any:
        """Products in the training's precision, within."""
        dtype = DTYPES[self._precision]
        return torch.autocast(self.device.type, dtype=dtype, enabled=self._precision != "float32")

    def _sow(self, seed: int) -> None:
        """Begin the device's draws anew. (torch.manual_seed looks for devices of every kind: a millisecond.)"""
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)

    def _parts(self, number: int, batches: Sequence[Any]) -> Sequence[Sequence[LossOf]]:
        """What the network is told beside each micro-batch: its part of a loss of all of them, where that is one."""
        temperature = getattr(self.model, "temperature", None)
        if temperature is None:
            return [()] * len(batches)

        def vectors_of(index: int) -> Tensor:
            self._sow(dropout_seed(self._seed, number, self._ranks.rank, index))
            with self.autocast():
                vectors: Tensor = self.model.told(batches[index])
            return vectors

        return [(part,) for part in rehearse(batches, temperature, self._ranks, vectors_of)]

    def _backward(self, place: int, batch: Batch, how: Sequence[LossOf], weights: Mapping[str, float]) -> None:
        with self.autocast():
            found: Mapping[str, LossSum] = self._module(batch, *how)
        loss = torch.stack([found[name].sum * weights[name] for name in self._losses]).sum()
        loss.backward()
        self._sums += told_of(found, self._losses)
        self._local_strange = _noted(self._local_strange, loss.detach(), place)


def dropout_seed(seed: int, step: int, rank: int, micro_batch: int) -> int:
    """63 bits for torch's generators, the same whenever this step is made by as many workers."""
    return int(bits(seed, DROPOUT, step, rank, micro_batch)) >> 1


def told_of(found: Mapping[str, LossSum], losses: Sequence[str]) -> Tensor:
    """Of each loss in turn its sum and how much was told right: [2 * losses] of float64, without a gradient."""
    parts = [part for name in losses for part in (found[name].sum.detach(), found[name].correct)]
    return torch.stack(parts).double()


def _noted(noted: Tensor, value: Tensor, place: int) -> Tensor:
    """The place of the first value that is no number, FINE so far."""
    return torch.where((noted == FINE) & ~torch.isfinite(value), place, noted)


def _set_rate(optimizer: AdamW, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
