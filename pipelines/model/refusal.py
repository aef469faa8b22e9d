"""Why a chunk is not encoded, in words that hold none of its text."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

MAX_REASON = 200  # characters


def refusals(
    values: npt.NDArray[Any], offsets: npt.NDArray[Any], vocab_size: int, max_positions: int
) -> dict[int, str]:
    """Chunks that no network should see, by row: on a GPU they would end the process, not the batch.

    ``max_positions`` 0: no limit.
    """
    lengths = np.diff(offsets)
    refused = {int(row): "the chunk has no tokens" for row in np.flatnonzero(lengths <= 0)}
    if max_positions:
        for row in np.flatnonzero(lengths > max_positions).tolist():
            refused[row] = f"the chunk has {lengths[row]} tokens, the model {max_positions} positions"
    strays = np.flatnonzero((values < 0) | (values >= vocab_size))
    for row in np.unique(np.searchsorted(offsets, strays, side="right") - 1).tolist():
        refused[row] = f"a token id is outside the model's vocabulary of {vocab_size}"
    return refused


def is_out_of_memory(error: Exception) -> bool:
    """Whether a smaller batch may succeed."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def reason(error: Exception) -> str:
    """The error's kind and the first line of what it says."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:MAX_REASON]
