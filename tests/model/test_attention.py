import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from pipelines.model.attention import Attend, attend_packed, attend_padded, attend_sdpa, key_bias

LENGTHS = [5, 5, 1, 9]
CU = torch.tensor([0, 5, 10, 11, 20], dtype=torch.int32)


def tensors(*shape: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(sum(shape))
    query, key, value = torch.randn(3, *shape, generator=generator)
    return query, key, value


def one_by_one(query: Tensor, key: Tensor, value: Tensor, lengths: list[int]) -> list[Tensor]:
    """The context of each row's first tokens, [length, H, E]."""
    rows = []
    for row, length in enumerate(lengths):
        heads = [tensor[row, :length].transpose(0, 1) for tensor in (query, key, value)]
        rows.append(scaled_dot_product_attention(*heads).transpose(0, 1))
    return rows


@pytest.mark.parametrize("attend", [attend_padded, attend_sdpa])
@pytest.mark.parametrize("tokens", [9, 32, 40])
def test_padding_is_not_seen(attend: Attend, tokens: int) -> None:
    heads = tensors(4, tokens, 3, 8)
    for lengths in (LENGTHS, [tokens] * 4):
        mask = torch.arange(tokens) < torch.tensor(lengths)[:, None]
        found = attend(*heads, key_bias(mask, torch.float32), tokens)
        for row, expected in enumerate(one_by_one(*heads, lengths)):
            torch.testing.assert_close(found[row, : len(expected)], expected)


def test_the_bias_by_hand() -> None:
    mask = torch.tensor([[True, True], [True, False]])
    least = torch.finfo(torch.bfloat16).min
    bias = key_bias(mask, torch.bfloat16)
    assert bias is not None
    assert bias.tolist() == [[[[0.0, 0.0]]], [[[0.0, least]]]]
    assert key_bias(mask[:1], torch.bfloat16) is None


def test_chunks_of_a_packed_row_do_not_see_each_other() -> None:
    query, key, value = tensors(20, 3, 8)
    found = attend_packed(query, key, value, CU, 9)
    for start, length in zip([0, 5, 10, 11], LENGTHS, strict=True):
        chunk = [tensor[None, start : start + length] for tensor in (query, key, value)]
        torch.testing.assert_close(found[start : start + length], one_by_one(*chunk, [length])[0])


def test_packed_attention_never_runs_without_cu_seqlens() -> None:
    with pytest.raises(ValueError, match="without cu_seqlens"):
        attend_packed(*tensors(20, 3, 8), None, 9)
