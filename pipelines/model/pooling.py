"""Token vectors to one vector a chunk, in float32 whatever the network's precision.

Padded and packed batches pool alike: both are brought to T token vectors end to end and a length for each chunk.
The modes are those of sentence-transformers' Pooling module, summed in float32.

Shapes: T tokens, B chunks, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pool(hidden_td: Tensor, lengths_b: Tensor, modes: str, prompt_length: int = 0) -> Tensor:
    """float32[B, D * modes] from vectors [T, D] and lengths int64[B] (sum T), each of them at least 1.

    ``modes`` are joined by + and concatenated in that order. The first ``prompt_length`` tokens of each chunk are left
    out, but keep their place in the weights of weighted_mean; a chunk of nothing else gives zeros (-inf for max).
    """
    hidden_td = hidden_td.float()
    pools = [_POOLS[mode] for mode in modes.split("+")]
    return torch.cat([pool(hidden_td, lengths_b, prompt_length) for pool in pools], dim=1)


def _positions(lengths_b: Tensor) -> Tensor:
    """Place of each token in its chunk: [T]."""
    starts_b = lengths_b.cumsum(0) - lengths_b
    return torch.arange(int(lengths_b.sum()), device=lengths_b.device) - starts_b.repeat_interleave(lengths_b)


def _kept(hidden_td: Tensor, lengths_b: Tensor, prompt_length: int) -> tuple[Tensor, Tensor]:
    if not prompt_length:
        return hidden_td, lengths_b
    return hidden_td[_positions(lengths_b) >= prompt_length], (lengths_b - prompt_length).clamp(min=0)


def _sum(hidden_td: Tensor, lengths_b: Tensor) -> Tensor:
    return torch.segment_reduce(hidden_td, "sum", lengths=lengths_b, axis=0)


def _mean(hidden_td: Tensor, lengths_b: Tensor, prompt_length: int) -> Tensor:
    kept_td, counts_b = _kept(hidden_td, lengths_b, prompt_length)
    return _sum(kept_td, counts_b) / counts_b.clamp(min=1)[:, None]


def _mean_sqrt_len(hidden_td: Tensor, lengths_b: Tensor, prompt_length: int) -> Tensor:
    kept_td, counts_b = _kept(hidden_td, lengths_b, prompt_length)
    return _sum(kept_td, counts_b) / counts_b.clamp(min=1)[:, None].sqrt()


def _weighted_mean(hidden_td: Tensor, lengths_b: Tensor, prompt_length: int) -> Tensor:
    """Weights 1, 2, 3, ... along the chunk (SGPT, arXiv:2202.08904, section 3.1)."""
    positions_t = _positions(lengths_b)
    weights_t1 = ((positions_t + 1) * (positions_t >= prompt_length)).float()[:, None]
    return _sum(hidden_td * weights_t1, lengths_b) / _sum(weights_t1, lengths_b).clamp(min=1)


def _max(hidden_td: Tensor, lengths_b: Tensor, prompt_length: int) -> Tensor:
    kept_td, counts_b = _kept(hidden_td, lengths_b, prompt_length)
    return torch.segment_reduce(kept_td, "max", lengths=counts_b, axis=0)


def _cls(hidden_td: Tensor, lengths_b: Tensor, prompt_length: int) -> Tensor:
    starts_b = lengths_b.cumsum(0) - lengths_b
    return hidden_td[starts_b + torch.where(lengths_b > prompt_length, prompt_length, 0)]


def _last_token(hidden_td: Tensor, lengths_b: Tensor, prompt_length: int) -> Tensor:
    return hidden_td[lengths_b.cumsum(0) - 1]


_POOLS = {
    "cls": _cls,
    "mean": _mean,
    "max": _max,
    "mean_sqrt_len": _mean_sqrt_len,
    "weighted_mean": _weighted_mean,
    "last_token": _last_token,
}
