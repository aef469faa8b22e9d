"""Attention for transformers' registry: packed rows with explicit cu_seqlens, and padded rows on a CPU.

Registered under ``PACKED`` and ``PADDED`` together with a mask function, since transformers asks both registries. The
packed function never runs without cu_seqlens: chunks laid end to end would silently attend to their neighbours.

Shapes: B rows, H query heads, K key heads, S tokens a row, T tokens in all, E width of a head.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

PACKED = "manta_packed"


def register() -> None:
    """Put ``PACKED`` into transformers' registries of attention and mask functions."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(PACKED, packed_attention)
    AttentionMaskInterface.register(PACKED, no_mask)


def no_mask(*args: Any, **kwargs: Any) -> None:
    """The mask of packed attention: none, cu_seqlens say it all."""
    return None


def packed_attention(
    module: torch.nn.Module,
    query_1hte: Tensor,
    key_1kte: Tensor,
    value_1kte: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int = 0,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention within each chunk of a packed row: [1, T, H, E].

    ``cu_seq_lens_q`` is int32[chunks + 1]. A sliding window of w sees tokens less than w away. Keywords that would
    change the result and are not known here raise ValueError.
    """
    if cu_seq_lens_q is None:
        raise ValueError("packed attention was called without cu_seqlens")
    unknown = [name for name in ("softcap", "s_aux", "position_bias") if kwargs.get(name) is not None]
    if unknown or attention_mask is not None:
        raise ValueError(f"packed attention knows no {', '.join(unknown) or 'mask'}")
    causal = getattr(module, "is_causal", False) if is_causal is None else is_causal
    reach = -1 if sliding_window is None else sliding_window - 1
    window = (reach, 0 if causal else reach)
    attend = _varlen if query_1hte.is_cuda else _runs
    query_the, key_tke, value_tke = (tensor[0].transpose(0, 1) for tensor in (query_1hte, key_1kte, value_1kte))
    return attend(query_the, key_tke, value_tke, cu_seq_lens_q, max_length_q, scaling, window)[None], None


def _varlen(
    query_the: Tensor, key_tke: Tensor, value_tke: Tensor, cu: Tensor, longest: int, scale: Any, window: tuple[int, int]
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    grouped = query_the.shape[1] != key_tke.shape[1]
    tensors = (tensor.contiguous() for tensor in (query_the, key_tke, value_tke))
    result = varlen_attn(*tensors, cu, cu, longest, longest, scale=scale, window_size=window, enable_gqa=grouped)
    return result[0] if isinstance(result, tuple) else result


def _runs(
    query_the: Tensor, key_tke: Tensor, value_tke: Tensor, cu: Tensor, longest: int, scale: Any, window: tuple[int, int]
) -> Tensor:
    """The same without a kernel for it: runs of equally long neighbours go as one batch."""
    lengths = cu.diff().tolist()
    grouped = query_the.shape[1] != key_tke.shape[1]
    results, start = [], 0
    for length, run in groupby(lengths):
        rows = len(list(run))
        q, k, v = (t[start : start + rows * length].unflatten(0, (rows, length)).transpose(1, 2)
                   for t in (query_the, key_tke, value_tke))  # fmt: skip
        mask = _window_mask(length, window, query_the.device)
        out = scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, enable_gqa=grouped)
        results.append(out.transpose(1, 2).flatten(0, 1))
        start += rows * length
    return torch.cat(results)


def _window_mask(length: int, window: tuple[int, int], device: torch.device) -> Tensor | None:
    """bool[S, S], True where a query sees a key; None where all see all."""
    left, right = (length if side < 0 else side for side in window)
    if left >= length - 1 and right >= length - 1:
        return None
    places = torch.arange(length, device=device)
    ahead = places[None, :] - places[:, None]
    return (ahead <= right) & (ahead >= -left)
