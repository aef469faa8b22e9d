from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.model.folder import read_folder
from pipelines.model.network import Work, first_position


def test_useful_flops_by_hand() -> None:
    weights = [torch.empty(10, 4), torch.empty(4, 4), torch.empty(4)]
    work = Work.of(weights, weights[:1], 8)
    assert work == Work(num_weights=20, attention_width=8)
    assert work.useful_flops(np.array([2, 3])) == 2 * 20 * 5 + 4 * 8 * (2**2 + 3**2)
    assert work.useful_flops(np.array([], np.int64)) == 0


@pytest.mark.parametrize(("family", "position"), [("Bert", 0), ("Roberta", 1), ("ModernBert", 0), ("GPT2", 0)])
def test_the_first_position(make_folder: Callable[..., Path], family: str, position: int) -> None:
    assert first_position(read_folder(make_folder(family))) == position
