import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from pipelines.model.grouped_attention import EVERYWHERE, Window, attend_groups, window_mask

LENGTHS = [40, 7, 1, 41, 7, 7]
STARTS = [0, 40, 47, 48, 89, 96]
CU = torch.tensor([*STARTS, 103], dtype=torch.int32)


def tensors(key_heads: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    heads = (4, key_heads, key_heads)
    return [torch.randn(103, count, 8, generator=generator).requires_grad_() for count in heads]


def one_by_one(query: Tensor, key: Tensor, value: Tensor, window: Window) -> Tensor:
    found = []
    for start, length in zip(STARTS, LENGTHS, strict=True):
        chunk = [tensor[start : start + length].transpose(0, 1) for tensor in (query, key, value)]
        mask = window_mask(length, window)
        found.append(scaled_dot_product_attention(*chunk, attn_mask=mask, enable_gqa=True).transpose(0, 1))
    return torch.cat(found)


@pytest.mark.parametrize("key_heads", [4, 2])
@pytest.mark.parametrize("window", [EVERYWHERE, (-1, 0), (3, 3), (2, 0)])
def test_contexts_and_gradients_are_those_of_each_chunk_by_itself(window: Window, key_heads: int) -> None:
    weights = torch.randn(103, 4, 8, generator=torch.Generator().manual_seed(1))
    slopes = []
    for attend in (lambda *qkv: attend_groups(*qkv, CU, window=window), lambda *qkv: one_by_one(*qkv, window)):
        parts = tensors(key_heads)
        found = attend(*parts)
        (found * weights).sum().backward()
        slopes.append((found, *(part.grad for part in parts)))
    for found, expected in zip(*slopes, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("window", [EVERYWHERE, (2, 0)])
def test_where_nothing_learns_contexts_are_the_same(window: Window) -> None:
    with torch.no_grad():
        torch.testing.assert_close(attend_groups(*tensors(), CU, window=window), one_by_one(*tensors(), window))


def test_a_scale_of_ones_own() -> None:
    query, key, value = tensors()
    torch.testing.assert_close(
        attend_groups(query, key, value, CU, scale=0.5), attend_groups(query * 0.5 * 8**0.5, key, value, CU)
    )


def test_dropout_is_of_probabilities() -> None:
    """Values are ones: a context is the sum of the probabilities that are left, 1 on average."""
    torch.manual_seed(0)
    query, key, _ = tensors()
    found = attend_groups(query, key, torch.ones_like(key), CU, dropout=0.5)
    assert set(found[47].flatten().tolist()) <= {0.0, 2.0}  # the chunk of one token
    assert found.mean().item() == pytest.approx(1.0, abs=0.1)
    assert found.std() > 0.1


def test_half_precision_stays() -> None:
    query, key, value = (tensor.bfloat16() for tensor in tensors())
    found = attend_groups(query, key, value, CU)
    assert found.dtype == torch.bfloat16
    exact = one_by_one(*tensors(), EVERYWHERE)
    torch.testing.assert_close(found.float(), exact, rtol=0.05, atol=0.03)
