"""Our attention in transformers' registry, for the networks that ask it.

Each function is registered together with a mask function of the same name, since transformers asks both registries.

Shapes: B rows, H query heads, K key heads, S tokens a row, T tokens in all, E width of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pipelines.model.attention import attend_packed, attend_padded, key_bias

PACKED = "manta_packed"
PADDED = "manta_padded"
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
    return key_bias(attention_mask.bool(), dtype)


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
    """``attend_padded``, as the registry calls it: [B, S, H, E]. ValueError for a variant that is not known here."""
    _refuse_unknown(kwargs)
    query, key, value = (tensor.transpose(1, 2) for tensor in (query_bhse, key_bkse, value_bkse))
    return attend_padded(query, key, value, attention_mask, query.shape[1], scaling or 0.0), None


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
    """``attend_packed``, as the registry calls it: [1, T, H, E].

    A sliding window of w sees tokens less than w away. ValueError with a mask, or for a variant not known here.
    """
    if attention_mask is not None:
        raise ValueError("packed attention was called with a mask")
    _refuse_unknown(kwargs)
    causal = getattr(module, "is_causal", False) if is_causal is None else is_causal
    reach = -1 if sliding_window is None else sliding_window - 1
    query, key, value = (tensor[0].transpose(0, 1) for tensor in (query_1hte, key_1kte, value_1kte))
    window = (reach, 0 if causal else reach)
    return attend_packed(query, key, value, cu_seq_lens_q, max_length_q, scaling, window, dropout)[None], None


def _refuse_unknown(kwargs: dict[str, Any]) -> None:
    unknown = [name for name in UNKNOWN if kwargs.get(name) is not None]
    if unknown:
        raise ValueError(f"attention of this kind knows no {', '.join(unknown)}: choose another implementation")
