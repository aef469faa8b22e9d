"""A batch of training as the tensors of a forward pass, padded or packed, on the network's device.

On a CPU a packed row ends with pads, so that there are few lengths of it: oneDNN makes a kernel for each shape that it
meets, .8 MB each, and keeps a thousand of them.

Shapes: n instances of T tokens, padded to S.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.model.network import Network
from pipelines.text.pack import pack_batch, pad_batch, second_types
from pipelines.text.training_batch import NO_LABEL, TrainingBatch

TOKEN_MULTIPLE = 64
"""The tokens of a packed row on a CPU are a multiple of it."""
TOLD_MULTIPLE = 32
"""So are those of which there are logits, of this."""


class Flat(Protocol):
    """Token ids of sequences end to end."""

    @property
    def values(self) -> npt.NDArray[np.int32]:
        """[T]."""
        ...

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """[n + 1]."""
        ...

    @property
    def segment_b_start(self) -> npt.NDArray[np.int32]:
        """[n], 0: one segment."""
        ...


@dataclass(frozen=True)
class Tokens:
    """See ``Flat``."""

    values: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    segment_b_start: npt.NDArray[np.int32]


def vectors(network: Network, batch: Flat, device: torch.device) -> Tensor:
    """Vectors of all tokens of the batch end to end, [T, D], by the network's own path."""
    if network.path == "padded":
        return network.padded(*padded_inputs(batch, network.pad_id, device))
    num_tokens = int(batch.offsets[-1])
    row = with_pads(batch, network.pad_id, TOKEN_MULTIPLE) if device.type == "cpu" else batch
    rows = np.arange(len(row.offsets) - 1)
    packed = pack_batch(row.values, row.offsets, rows)
    ids, positions, cu_seqlens = (
        to_device(array, device) for array in (packed.input_ids, packed.position_ids, packed.cu_seqlens)
    )
    types = _types(row, rows, device, padded=False)
    return network.packed(ids, positions, cu_seqlens, packed.max_seqlen, types)[:num_tokens]


def with_pads(batch: Flat, pad_id: int, multiple: int) -> Tokens:
    """The batch, and after it chunks of pads, so that its tokens are a multiple.

    No chunk of pads is longer than the longest chunk of the batch: a network may have no more positions.
    """
    num_tokens, longest = int(batch.offsets[-1]), int(np.diff(batch.offsets).max())
    num_pads = -num_tokens % multiple
    ends = np.minimum(np.arange(longest, num_pads + longest, longest), num_pads)
    return Tokens(
        values=np.concatenate([batch.values, np.full(num_pads, pad_id, np.int32)]),
        offsets=np.concatenate([batch.offsets, num_tokens + ends]),
        segment_b_start=np.concatenate([batch.segment_b_start, np.zeros(len(ends), np.int32)]),
    )


def told_tokens(
    positions_m: npt.NDArray[np.int64], targets_m: npt.NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Places of tokens that are to be told, and what they are; on a CPU a multiple of both, the rest NO_LABEL."""
    extra = -len(targets_m) % TOLD_MULTIPLE if device.type == "cpu" else 0
    positions, targets = np.pad(positions_m, (0, extra)), np.pad(targets_m, (0, extra), constant_values=NO_LABEL)
    return to_device(positions, device), to_device(targets, device)


def padded_inputs(batch: Flat, pad_id: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
    """Token ids, mask and types of the batch side by side, [n, S] each; no types where there is one segment each."""
    rows = np.arange(len(batch.offsets) - 1)
    ids, mask = (to_device(array, device) for array in pad_batch(batch.values, batch.offsets, rows, pad_id))
    return ids, mask, _types(batch, rows, device, padded=True)


def to_device(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """The array as a tensor there; the copy to a GPU is not waited for."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def or_blank(batch: TrainingBatch, pad_id: int) -> TrainingBatch:
    """The batch, or in place of one without instances one of a single pad token that tells nothing."""
    if len(batch.offsets) > 1:
        return batch
    return replace(
        batch,
        values=np.array([pad_id], np.int32),
        offsets=np.array([0, 1]),
        segment_b_start=np.zeros(1, np.int32),
        sentence_labels=np.full(1, NO_LABEL),
        target_offsets=None if batch.target_offsets is None else np.zeros(2, np.int64),
    )


def _types(batch: Flat, rows: npt.NDArray[np.int64], device: torch.device, *, padded: bool) -> Tensor | None:
    """Types of the batch's tokens; None where no instance has a second segment."""
    if not batch.segment_b_start.any():
        return None
    lengths = np.diff(batch.offsets)
    starts = np.where(batch.segment_b_start > 0, batch.segment_b_start, lengths)
    return to_device(second_types(batch.offsets, rows, starts, padded=padded), device)
