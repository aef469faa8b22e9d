import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from pipelines.model.registry import packed_attention, padded_attention


def tensors(rows: int, heads: int, tokens: int, key_heads: int | None = None) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(rows + tokens)
    shapes = [(rows, h, tokens, 8) for h in (heads, key_heads or heads, key_heads or heads)]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def plain(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    group = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    return scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)


MODULE = torch.nn.Identity()
LENGTHS = [5, 5, 1, 9]
CU = torch.tensor([0, 5, 10, 11, 20], dtype=torch.int32)


@pytest.mark.parametrize("key_heads", [4, 2])
@pytest.mark.parametrize("tokens", [3, 32, 40])
def test_padded_attention_is_plain_attention(tokens: int, key_heads: int) -> None:
    query, key, value = tensors(2, 4, tokens, key_heads)
    seen = torch.ones(2, 1, 1, tokens, dtype=torch.bool)
    seen[1, ..., 2:] = False
    bias = torch.where(seen, 0.0, torch.finfo(torch.float32).min)
    for mask, boolean in ((None, None), (bias, seen)):
        found, _ = padded_attention(MODULE, query, key, value, mask, scaling=8**-0.5)
        torch.testing.assert_close(found, plain(MODULE, query, key, value, boolean))


@pytest.mark.parametrize("key_heads", [4, 2])
@pytest.mark.parametrize(("window", "causal"), [(None, False), (3, False), (None, True), (3, True)])
def test_packed_attention_is_attention_chunk_by_chunk(window: int | None, causal: bool, key_heads: int) -> None:
    query, key, value = tensors(1, 4, 20, key_heads)
    found, _ = packed_attention(
        MODULE, query, key, value, None, cu_seq_lens_q=CU, max_length_q=9, sliding_window=window, is_causal=causal
    )
    for start, length in zip([0, 5, 10, 11], LENGTHS, strict=True):
        places = torch.arange(length)
        ahead = places[None, :] - places[:, None]
        seen = (ahead.abs() < (window or 99)) & ((ahead <= 0) | (not causal))
        chunk = [tensor[:, :, start : start + length] for tensor in (query, key, value)]
        torch.testing.assert_close(found[:, start : start + length], plain(MODULE, *chunk, seen))


def test_packed_attention_never_runs_without_cu_seqlens() -> None:
    with pytest.raises(ValueError, match="without cu_seqlens"):
        packed_attention(MODULE, *tensors(1, 4, 20), None)


def test_variants_that_are_not_known_are_refused() -> None:
    with pytest.raises(ValueError, match="knows no softcap"):
        padded_attention(MODULE, *tensors(1, 4, 20), None, softcap=30.0)


def test_packed_attention_takes_no_mask() -> None:
    with pytest.raises(ValueError, match="with a mask"):
        packed_attention(MODULE, *tensors(1, 4, 20), torch.zeros(1, 1, 1, 20), cu_seq_lens_q=CU)
