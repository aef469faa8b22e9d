"""Attention of padded rows, and of packed rows with explicit cu_seqlens.

Shapes: B rows, H query heads, K key heads, S tokens a row, T tokens in all, E width of a head.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from pipelines.model.grouped_attention import EVERYWHERE, Window, attend_groups

KEY_MULTIPLE = 32
"""Keys are padded to a multiple of the vector registers' 32 bfloat16: softmax over 24 keys takes twice that over 32."""


class Attend(Protocol):
    """Queries, keys and values, each [..., H or K, E], to contexts [..., H, E].

    ``seen`` tells which keys a query sees: a bias as from ``key_bias`` for padded rows, cu_seqlens for packed ones.
    ``longest`` is the most tokens of a chunk.
    """

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None, longest: int, /) -> Tensor: ...


def key_bias(mask_bs: Tensor, dtype: torch.dtype) -> Tensor | None:
    """0 where a key is seen and the least number where it is padding: [B, 1, 1, S]; None where there is no padding."""
    if mask_bs.all():
        return None
    return torch.where(mask_bs[:, None, None, :], 0.0, torch.finfo(dtype).min).to(dtype)


def attend_sdpa(query_bshe: Tensor, key_bshe: Tensor, value_bshe: Tensor, seen: Tensor | None, longest: int) -> Tensor:
    """Padded rows by torch's fused kernel: [B, S, H, E]."""
    query, key, value = (tensor.transpose(1, 2) for tensor in (query_bshe, key_bshe, value_bshe))
    return scaled_dot_product_attention(query, key, value, attn_mask=seen).transpose(1, 2)


def attend_padded(
    query_bshe: Tensor, key_bske: Tensor, value_bske: Tensor, seen: Tensor | None, longest: int, scale: float = 0.0
) -> Tensor:
    """Padded rows by plain matrix products, faster in bfloat16 on a CPU than the fused kernel: [B, S, H, E].

    ``seen`` may also differ by query: [B, 1, S, S].
    """
    rows, queries, heads, width = query_bshe.shape
    keys = key_bske.shape[1]
    extra = -keys % KEY_MULTIPLE
    if heads != key_bske.shape[2]:
        key_bske, value_bske = (t.repeat_interleave(heads // t.shape[2], dim=2) for t in (key_bske, value_bske))
    query = query_bshe.transpose(1, 2).reshape(rows * heads, queries, width)
    key, value = (
        pad(t.transpose(1, 2), (0, 0, 0, extra)).reshape(rows * heads, keys + extra, width)
        for t in (key_bske, value_bske)
    )
    bias = _bias(query_bshe, seen, keys, extra)
    scores = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=scale or width**-0.5)
    context = torch.bmm(torch.softmax(scores, dim=-1, out=scores), value)
    return context.view(rows, heads, queries, width).transpose(1, 2).contiguous()


def _bias(query_bshe: Tensor, seen: Tensor | None, keys: int, extra: int) -> Tensor:
    """What is added to the scores of all rows and heads."""
    rows, _, heads, _ = query_bshe.shape
    if not extra and seen is None:
        return query_bshe.new_zeros(1, 1, 1)
    bias = query_bshe.new_zeros(rows, 1, 1, keys) if seen is None else seen
    bias = pad(bias, (0, extra), value=torch.finfo(bias.dtype).min)
    return bias.expand(rows, heads, -1, -1).flatten(0, 1)


def attend_packed(
    query_the: Tensor,
    key_tke: Tensor,
    value_tke: Tensor,
    seen: Tensor | None,
    longest: int,
    scale: float | None = None,
    window: Window = EVERYWHERE,
    dropout: float = 0.0,
) -> Tensor:
    """Packed rows, each chunk by itself: [T, H, E]. ``seen`` is cu_seqlens, int32[chunks + 1].

    ``dropout`` is a share of the probabilities; CUDA's kernel knows none. ValueError without cu_seqlens: chunks laid
    end to end would silently attend to their neighbours.
    """
    if seen is None:
        raise ValueError("packed attention was called without cu_seqlens")
    if query_the.is_cuda:
        return _varlen(query_the, key_tke, value_tke, seen, longest, scale, window)
    return attend_groups(query_the, key_tke, value_tke, seen, scale, window, dropout)


def _varlen(
    query_the: Tensor, key_tke: Tensor, value_tke: Tensor, cu: Tensor, longest: int, scale: float | None, window: Window
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    grouped = query_the.shape[1] != key_tke.shape[1]
    tensors = (tensor.contiguous() for tensor in (query_the, key_tke, value_tke))
    result = varlen_attn(*tensors, cu, cu, longest, longest, scale=scale, window_size=window, enable_gqa=grouped)
    return result[0] if isinstance(result, tuple) else result
