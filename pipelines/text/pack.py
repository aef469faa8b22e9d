"""Batches of chunks under a token budget: which chunks run together, and the arrays they run as.

Chunks are flat: ``values`` holds all token ids, ``offsets`` where each chunk begins. A padded batch is a matrix as wide
as its longest chunk; a packed batch lays its chunks end to end and says with cu_seqlens where each begins.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

CUDA_TOKEN_BUDGET, CPU_TOKEN_BUDGET = 65_536, 2_048
"""Tokens of a forward pass, padding counted, where nothing else is asked for."""

PASS_OVERHEAD_TOKENS = 24
"""What one more forward pass costs, in tokens of padding that are worth paying to save it."""


@dataclass(frozen=True)
class PackedBatch:
    """Chunks end to end: T tokens of B chunks."""

    input_ids: Ints  # [T]
    position_ids: Ints  # [T], from 0 again at each chunk
    cu_seqlens: npt.NDArray[np.int32]  # [B + 1]
    max_seqlen: int


def plan_batches(
    lengths: npt.ArrayLike, token_budget: int, *, padded: bool, pass_overhead: int = PASS_OVERHEAD_TOKENS
) -> list[Ints]:
    """Index arrays that together hold each chunk once, longest first; chunks of equal length keep their order.

    A batch costs rows * longest (padded) or the sum of its lengths (packed), at most ``token_budget``; a chunk that is
    longer goes alone. Padded batches are cut where padding and passes together cost least, a pass ``pass_overhead``
    tokens.
    """
    sizes = np.asarray(lengths, np.int64)
    order = np.argsort(-sizes, kind="stable")
    longest_first = sizes[order]
    cuts = (
        _padded_cuts(longest_first, token_budget, pass_overhead)
        if padded
        else _packed_cuts(longest_first, token_budget)
    )
    return [order[start:stop] for start, stop in itertools.pairwise(cuts)]


def _packed_cuts(sizes: Ints, token_budget: int) -> list[int]:
    ends = np.cumsum(sizes)
    cuts = [0]
    while cuts[-1] < len(sizes):
        done = ends[cuts[-1] - 1] if cuts[-1] else 0
        cuts.append(max(cuts[-1] + 1, int(np.searchsorted(ends, done + token_budget, side="right"))))
    return cuts


def _padded_cuts(sizes: Ints, token_budget: int, pass_overhead: int) -> list[int]:
    """Shortest path from the longest chunk to the shortest, an edge being a batch.

    ``sizes`` descend, so a batch that starts at i is sizes[i] wide; least[i] is the cost of all chunks from i on.
    """
    n = len(sizes)
    least = np.zeros(n + 1, np.int64)
    after = np.zeros(n + 1, np.int64)
    widths = np.maximum(sizes, 1)
    rows = np.minimum(np.maximum(token_budget // widths, 1), n - np.arange(n))
    counts = np.arange(1, (int(rows.max()) if n else 0) + 1)
    for i in range(n - 1, -1, -1):
        most = rows[i]
        costs = least[i + 1 : i + 1 + most] + counts[:most] * widths[i]
        best = most - 1 - int(np.argmin(costs[::-1]))
        least[i], after[i] = costs[best] + pass_overhead, i + 1 + best
    cuts = [0]
    while cuts[-1] < n:
        cuts.append(int(after[cuts[-1]]))
    return cuts


def pad_batch(
    values: npt.NDArray[Any], offsets: npt.NDArray[Any], rows: npt.NDArray[Any], pad_id: int
) -> tuple[Ints, Ints]:
    """input_ids and attention_mask of the chunks named by ``rows``, both int64[B, S], padded on the right."""
    starts, lengths = offsets[rows], np.diff(offsets)[rows]
    columns = np.arange(int(lengths.max(initial=0)))
    attention_mask = columns < lengths[:, None]
    input_ids = np.full(attention_mask.shape, pad_id, np.int64)
    input_ids[attention_mask] = values[(starts[:, None] + columns)[attention_mask]]
    return input_ids, attention_mask.astype(np.int64)


def pack_batch(values: npt.NDArray[Any], offsets: npt.NDArray[Any], rows: npt.NDArray[Any]) -> PackedBatch:
    """The chunks named by ``rows`` end to end, in that order."""
    starts, lengths = offsets[rows], np.diff(offsets)[rows]
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths)])
    position_ids = np.arange(cu_seqlens[-1]) - np.repeat(cu_seqlens[:-1], lengths)
    input_ids = values[np.repeat(starts, lengths) + position_ids].astype(np.int64)
    return PackedBatch(input_ids, position_ids, cu_seqlens.astype(np.int32), int(lengths.max(initial=0)))


def second_types(
    offsets: npt.NDArray[Any], rows: npt.NDArray[Any], segment_b_start: npt.NDArray[Any], *, padded: bool
) -> Ints:
    """Type of each token of a batch, 1 from the second text's first token on: shaped as ``pad_batch``, ``pack_batch``.

    ``segment_b_start`` says for every chunk where that token is. Padding is of type 0.
    """
    lengths, starts = np.diff(offsets)[rows], segment_b_start[rows]
    if padded:
        columns = np.arange(int(lengths.max(initial=0)))
        return ((columns >= starts[:, None]) & (columns < lengths[:, None])).astype(np.int64)
    places = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return (places >= np.repeat(starts, lengths)).astype(np.int64)


def gathered(starts: Ints, counts: Ints) -> Ints:
    """Indices of the ranges starts[i]:starts[i] + counts[i], end to end."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)


def padding_fraction(lengths: npt.ArrayLike, batches: list[Ints]) -> float:
    """Pad tokens of the batches, run padded, as a share of all tokens computed."""
    sizes = np.asarray(lengths, np.int64)
    computed = sum(len(rows) * int(sizes[rows].max()) for rows in batches)
    return 1.0 - float(sizes.sum()) / computed if computed else 0.0
