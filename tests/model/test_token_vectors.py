from __future__ import annotations

import numpy as np
import torch

from pipelines.model.loop import Chunks
from pipelines.model.token_vectors import TokenVectors


def test_vectors_come_home_by_token() -> None:
    vectors = TokenVectors(Chunks(np.zeros(6, np.int32), np.array([0, 2, 5, 6])), 2)
    hidden_td = torch.tensor([[1.0, 2], [3, 4], [5, 6], [7, 1e9]])
    vectors(np.array([1, 2]), hidden_td, torch.tensor([3, 1]))
    assert vectors.vectors.dtype == np.float16
    assert np.isnan(vectors.vectors[:2]).all()
    assert vectors.vectors[2:].tolist() == [[1, 2], [3, 4], [5, 6], [7, np.inf]]  # beyond float16 is not finite
