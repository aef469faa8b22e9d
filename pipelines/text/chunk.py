"""Windows of token ids over a document."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def windows(num_tokens: int, max_tokens: int, stride: int) -> npt.NDArray[np.int64]:
    """int64[k, 2]: start and stop of each window over ``num_tokens`` content tokens (no special tokens counted).

    Neighbours share ``stride`` tokens, the last window ends with the document and may be shorter, and none lies
    within another. A document without tokens has one empty window. ``stride`` is less than ``max_tokens``.
    """
    if not 0 <= stride < max_tokens:
        raise ValueError(f"stride is {stride}: write at least 0 and less than max_tokens ({max_tokens})")
    step = max_tokens - stride
    count = 1 + max(0, -(-(num_tokens - max_tokens) // step))
    starts = np.arange(count, dtype=np.int64) * step
    return np.stack([starts, np.minimum(starts + max_tokens, num_tokens)], axis=1)
