"""How many tokens of a micro-batch fit on a GPU: a few are tried, and what they take tells what more would.

Memory grows in a line with the tokens, as long as instances are equally long: so two trials are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from pipelines.errors import SpecError
from pipelines.model.device import Precision, autocast, pick_token_budget
from pipelines.model.refusal import is_out_of_memory
from pipelines.text.objectives import Task
from pipelines.text.training_batch import NO_LABEL, Instances
from pipelines.train.source import Batch

TRIED = (4096, 8192)
"""Tokens of the two trials."""
LEAST = 512
FILLED = 0.9
"""Share of the memory that is free which may be used: some of it lies in pieces."""
MOMENT_BYTES = 8
"""Of a weight, for an optimizer that is not there yet when this is tried."""
LONGEST = 512
"""Tokens of an instance of a trial, where the network has not fewer positions."""


def training_budget(wish: int | str, model: Any, trial: Callable[[int], Batch], precision: Precision) -> int:
    """Tokens of a micro-batch; auto: what fits on the GPU, a power of two; on a CPU what suits its caches.

    ``trial`` makes a batch of so many tokens for the network, which has a ``device``. SpecError where not even
    ``LEAST`` fit.
    """
    most = pick_token_budget(wish, model.device)
    if wish != "auto" or model.device.type != "cuda":
        return most
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(model.device)
    room = free + torch.cuda.memory_allocated(model.device)
    moments = MOMENT_BYTES * sum(weight.numel() for weight in model.parameters())
    budget = fitting(lambda tokens: _peak_bytes(model, trial(tokens), precision), int(FILLED * room) - moments, most)
    torch.cuda.empty_cache()
    return budget


def fitting(peak_bytes: Callable[[int], int], room: int, most: int) -> int:
    """The most tokens, a power of two and at most ``most``, whose peak fits into the room. SpecError: not even LEAST.

    ``peak_bytes`` tells the peak of so many tokens, or raises an error of memory that ran out.
    """
    small, large = (_or_none(peak_bytes, tokens) for tokens in TRIED)
    if small is None or large is None or large > room:
        return _tried_down(peak_bytes, room)
    a_token = max(1.0, (large - small) / (TRIED[1] - TRIED[0]))
    fit = TRIED[1] + (room - large) / a_token
    return min(most, 2 ** int(np.log2(fit)))


def _tried_down(peak_bytes: Callable[[int], int], room: int) -> int:
    """The largest of TRIED[0], its half, and so on that fits."""
    tokens = TRIED[0]
    while tokens >= LEAST:
        peak = _or_none(peak_bytes, tokens)
        if peak is not None and peak <= room:
            return tokens
        tokens //= 2
    raise SpecError(
        f"not even {LEAST} tokens of a micro-batch fit on the GPU: set train.activation_checkpointing, or take a "
        "smaller architecture or a larger GPU"
    )


def _or_none(peak_bytes: Callable[[int], int], tokens: int) -> int | None:
    try:
        return peak_bytes(tokens)
    except RuntimeError as error:
        if is_out_of_memory(error):
            return None
        raise


def _peak_bytes(model: Any, batch: Batch, precision: Precision) -> int:
    """Most bytes of tensors while a batch is trained on; weights stay as they are."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(model.device)
    model.train()
    try:
        with autocast(model.device, precision):
            found = model(batch)
        torch.stack([loss.sum for loss in found.values()]).sum().backward()
        return torch.cuda.max_memory_allocated(model.device)
    finally:
        model.zero_grad(set_to_none=True)


def trial_sizes(config: Any, tokens: int) -> tuple[int, int]:
    """Instances of a trial of so many tokens, and tokens of each: as many as the positions, or LONGEST."""
    length = min(LONGEST, getattr(config, "max_position_embeddings", 0) or LONGEST, tokens)
    return max(1, tokens // length), length


def made_up(config: Any, task: Task, tokens: int) -> Instances:
    """Instances of so many tokens in all (at least one), each as long as the network's positions or LONGEST."""
    count, length = trial_sizes(config, tokens)
    ordinary = task.vocabulary.ordinary
    return Instances(
        values=ordinary[np.arange(count * length) % len(ordinary)].astype(np.int32),
        offsets=np.arange(count + 1, dtype=np.int64) * length,
        segment_b_start=np.zeros(count, np.int32),
        sentence_labels=np.full(count, 0 if "+" in task.objective else NO_LABEL, np.int8),
        epoch=np.zeros(count, np.int64),
        number=np.arange(count),
    )
