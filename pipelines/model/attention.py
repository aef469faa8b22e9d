"""Attention for transformers' registry: packed rows with explicit cu_seqlens, and padded rows on a CPU.

Each is registered together with a mask function of the same name, since transformers asks both registries. The packed
function never runs without cu_seqlens: chunks laid end to end would silently attend to their neighbours.

Shapes: B rows, H query heads, K key heads, S tokens a row, T tokens in all, E width of a head.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

PACKED = "manta_packed"
PADDED = "manta_padded"
KEY_MULTIPLE = 32
"""Keys are padded to a multiple of the vector registers' 32 bfloat16: softmax over 24 keys takes twice that over 32."""
UNKNOWN = ("softcap", "s_aux", "position_bias")
"""Keywords of the registry that would change the result and are not known here."""


def register() -> None:
    """Put ``PACKED`` and ``PADDED`` into transformers' registries of attention and mask functions."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(PACKED, packed_attention)
    AttentionMaskInterface.register(PACKED, no_mask)
    AttentionInterface.register(PADDED, padded_attention)
    AttentionMaskInterface.register(PADDED, additive_mask)


def additive_mask(*, mask_function: Any, attention_mask: Tensor | None, dtype: torch.dtype, **kwargs: Any) -> Any:
    """0 where a key is seen and the least number where not: [B, 1, 1, S], or [B, 1, S, S] where queries differ.

    None where all see all.
    """
    from transformers.masking_utils import bidirectional_mask_function, eager_mask

    if mask_function is not bidirectional_mask_function or attention_mask is None:
        return eager_mask(mask_function=mask_function, attention_mask=attention_mask, dtype=dtype, **kwargs)
    if attention_mask.all():
        return None
    return torch.where(attention_mask[:, None, None, :], 0.0, torch.finfo(dtype).min).to(dtype)


def padded_attention(
    module: torch.nn.Module,
    query_bhse: Tensor,
    key_bkse: Tensor,
    value_bkse: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention by plain matrix products, faster in bfloat16 on a CPU than the fused kernel: [B, S, H, E]."""
    _refuse_unknown(kwargs)
    rows, heads, queries, width = query_bhse.shape
    keys = key_bkse.shape[2]
    extra = -keys % KEY_MULTIPLE
    if heads != key_bkse.shape[1]:
        key_bkse, value_bkse = (t.repeat_interleave(heads // t.shape[1], dim=1) for t in (key_bkse, value_bkse))
    if extra or attention_mask is not None:
        bias = query_bhse.new_zeros(rows, 1, 1, keys) if attention_mask is None else attention_mask
        bias = pad(bias, (0, extra), value=torch.finfo(bias.dtype).min)
        bias = bias.expand(rows, heads, -1, -1).flatten(0, 1)
    else:
        bias = query_bhse.new_zeros(1, 1, 1)
    query = query_bhse.reshape(rows * heads, queries, width)
    key, value = (pad(t, (0, 0, 0, extra)).reshape(rows * heads, keys + extra, width) for t in (key_bkse, value_bkse))
    scores = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=width**-0.5 if scaling is None else scaling)
    context = torch.bmm(torch.softmax(scores, dim=-1, out=scores), value)
    return context.view(rows, heads, queries, width).transpose(1, 2).contiguous(), None


def _refuse_unknown(kwargs: dict[str, Any]) -> None:
    unknown = [name for name in UNKNOWN if kwargs.get(name) is not None]
    if unknown:
        raise ValueError(f"attention of this kind knows no {', '.join(unknown)}: choose another implementation")


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
    if cu_seq_lens_q is None or attention_mask is not None:
        raise ValueError("packed attention was called without cu_seqlens, or with a mask")
    _refuse_unknown(kwargs)
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
