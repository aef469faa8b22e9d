"""Packed rows where there is no kernel for them: chunks of like length run side by side, also to learn from.

What is linear in a network then computes no padding, and attention, which is a small part of it, computes a little.
Groups are as wide as a multiple of 32, so that there are few shapes: oneDNN keeps a kernel of each.

Shapes: T tokens in all, H query heads, K key heads, E width of a head; a group has B chunks of at most S tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from pipelines.model.dropout import drop
from pipelines.text.pack import plan_batches

Window = tuple[int, int]
"""How many tokens to the left and to the right a query sees beside its own; -1: all."""
EVERYWHERE: Window = (-1, -1)
GROUP_TOKENS = 2**14
"""Tokens of a group, padding counted."""
WIDTH_MULTIPLE = 32
"""Of the tokens at which the chunks of a group are padded: also that of the vector registers' bfloat16."""


@dataclass(frozen=True)
class Group:
    """Chunks that run together."""

    num_chunks: int
    longest: int
    tokens_x: Tensor
    """int64[B * S]: the token of the packed row at each place; of padding the chunk's first."""
    bias: Tensor | None
    """What is added to scores, [B or 1, 1, S or 1, S]; None where all see all."""


def attend_groups(
    query_the: Tensor,
    key_tke: Tensor,
    value_tke: Tensor,
    cu: Tensor,
    scale: float | None = None,
    window: Window = EVERYWHERE,
    dropout: float = 0.0,
) -> Tensor:
    """Each chunk by itself: [T, H, E]. ``dropout`` is a share of the probabilities."""
    groups, places_t = _plan(tuple(cu.tolist()), window)
    repeats = query_the.shape[1] // key_tke.shape[1]
    contexts = []
    for group in groups:
        query, key, value = (_side_by_side(tensor, group) for tensor in (query_the, key_tke, value_tke))
        if repeats > 1:
            key, value = (tensor.repeat_interleave(repeats, dim=1) for tensor in (key, value))
        bias = None if group.bias is None else group.bias.to(query.dtype)
        fused = query.dtype == torch.float32 and not (dropout or query.requires_grad)
        attend = _fused if fused else _plain
        found = attend(query, key, value, bias, scale or query.shape[-1] ** -0.5, dropout)
        contexts.append(found.transpose(1, 2).flatten(0, 1))
    return torch.cat(contexts).index_select(0, places_t)


def _plain(
    query_bhse: Tensor, key_bhse: Tensor, value_bhse: Tensor, bias: Tensor | None, scale: float, dropout: float
) -> Tensor:
    """By products of matrices: faster than torch's own in bfloat16, and to learn from."""
    scores = query_bhse @ key_bhse.transpose(-1, -2) * scale
    scores = scores if bias is None else scores + bias
    found = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value_bhse.dtype)
    return drop(found, dropout) @ value_bhse


def _fused(
    query_bhse: Tensor, key_bhse: Tensor, value_bhse: Tensor, bias: Tensor | None, scale: float, dropout: float
) -> Tensor:
    return scaled_dot_product_attention(query_bhse, key_bhse, value_bhse, attn_mask=bias, scale=scale)


def _side_by_side(tensor_the: Tensor, group: Group) -> Tensor:
    """[B, H, S, E]."""
    picked = tensor_the.index_select(0, group.tokens_x)
    return picked.unflatten(0, (group.num_chunks, group.longest)).transpose(1, 2)


@lru_cache(maxsize=16)  # the layers of a pass ask for the same
def _plan(cu: tuple[int, ...], window: Window) -> tuple[list[Group], Tensor]:
    """The groups, and the place that each token of the packed row has in all of them end to end."""
    starts, lengths = np.array(cu[:-1], np.int64), np.diff(np.array(cu, np.int64))
    groups, places, done = [], np.zeros(cu[-1], np.int64), 0
    widths = -(-lengths // WIDTH_MULTIPLE) * WIDTH_MULTIPLE
    for rows in plan_batches(widths, GROUP_TOKENS, padded=True):
        columns = np.arange(int(widths[rows].max(initial=0)))
        real = columns < lengths[rows][:, None]
        tokens = starts[rows][:, None] + np.where(real, columns, 0)
        places[tokens[real]] = done + np.flatnonzero(real)
        groups.append(Group(len(rows), len(columns), torch.from_numpy(tokens.ravel()), _bias(real, window)))
        done += tokens.size
    return groups, torch.from_numpy(places)


def _bias(real_bs: npt.NDArray[np.bool_], window: Window) -> Tensor | None:
    """0 where a query sees a key, the least number of bfloat16 where not; None where all see all."""
    longest = real_bs.shape[1]
    seen = torch.from_numpy(real_bs)[:, None, None, :]
    reach = window_mask(longest, window)
    if reach is None and real_bs.all():
        return None
    seen = seen if reach is None else seen & reach
    return torch.where(seen, 0.0, torch.finfo(torch.bfloat16).min)


def window_mask(length: int, window: Window) -> Tensor | None:
    """bool[S, S], True where a query sees a key; None where all see all."""
    left, right = (length if side < 0 else side for side in window)
    if left >= length - 1 and right >= length - 1:
        return None
    places = torch.arange(length)
    ahead = places[None, :] - places[:, None]
    return (ahead <= right) & (ahead >= -left)
