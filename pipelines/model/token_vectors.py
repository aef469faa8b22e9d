"""A vector a token, as late interaction compares texts (Khattab and Zaharia 2020, arXiv:2004.12832)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipelines.model.loop import Chunks, Rows
from pipelines.text.pack import gathered


class TokenVectors:
    """A ``pipelines.model.loop.Harvest``: the network's last vector of each token, float16[T, D], NaN where none is.

    A number beyond float16's range becomes infinite, so that it is told as one that is not finite.
    """

    def __init__(self, chunks: Chunks, width: int) -> None:
        self.vectors = np.full((len(chunks.values), width), np.nan, np.float16)
        self._starts, self._lengths = chunks.offsets[:-1], chunks.lengths

    def __call__(self, rows: Rows, hidden_td: Tensor, lengths_b: Tensor) -> None:
        places = gathered(self._starts[rows], self._lengths[rows])
        self.vectors[places] = hidden_td.to(torch.float16).cpu().numpy()
