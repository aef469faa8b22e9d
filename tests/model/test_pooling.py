import pytest
import torch

from pipelines.model.pooling import pool

HIDDEN = torch.tensor([[1.0, -2.0], [3.0, 4.0], [5.0, 0.0], [2.0, 8.0]])
LENGTHS = torch.tensor([3, 1])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("cls", [[1, -2], [2, 8]]),
        ("mean", [[3, 2 / 3], [2, 8]]),
        ("max", [[5, 4], [2, 8]]),
        ("mean_sqrt_len", [[9 / 3**0.5, 2 / 3**0.5], [2, 8]]),
        ("weighted_mean", [[(1 + 6 + 15) / 6, (-2 + 8) / 6], [2, 8]]),
        ("last_token", [[5, 0], [2, 8]]),
        ("mean+cls", [[3, 2 / 3, 1, -2], [2, 8, 2, 8]]),
    ],
)
def test_modes_by_hand(mode: str, expected: list[list[float]]) -> None:
    torch.testing.assert_close(pool(HIDDEN, LENGTHS, mode), torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("cls", [3, 4]),
        ("mean", [4, 2]),
        ("max", [5, 4]),
        ("mean_sqrt_len", [8 / 2**0.5, 4 / 2**0.5]),
        ("weighted_mean", [(6 + 15) / 5, 8 / 5]),
        ("last_token", [5, 0]),
    ],
)
def test_modes_without_the_prompt_by_hand(mode: str, expected: list[float]) -> None:
    found = pool(HIDDEN[:3], torch.tensor([3]), mode, prompt_length=1)
    torch.testing.assert_close(found, torch.tensor([expected], dtype=torch.float32))


def test_sums_are_in_float32_whatever_comes_in() -> None:
    ones = torch.ones(1000, 1, dtype=torch.bfloat16)
    found = pool(ones, torch.tensor([1000]), "mean_sqrt_len")
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(1000**0.5)  # in bfloat16 the sum would stop at 256
