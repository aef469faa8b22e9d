"""Copies of chunks with some of their tokens masked, so that a masked language model can say how likely those are.

Pseudo-log-likelihood (Salazar et al. 2020, arXiv:1910.14659) masks each token in turn, in a copy of its own. A token
of a word of several tokens is then told by its neighbours; Kauf and Ivanova (2023, arXiv:2305.10588) mask those too:
the whole word, or the tokens of it that follow ("l2r", which they recommend).

Chunks are flat: ``values`` holds all token ids, ``offsets`` where each chunk begins.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
MaskUnit = Literal["token", "word", "word_l2r"]


@dataclass(frozen=True)
class MaskedCopies:
    """C copies of chunks with M masks in all. Copy i has the masks ``mask_offsets[i]:mask_offsets[i + 1]``."""

    chunk: Ints  # [C], which chunk it is a copy of
    mask_offsets: Ints  # [C + 1]
    positions: Ints  # [M], place of the mask in its chunk
    scored: npt.NDArray[np.bool_]  # [M], whether the token there is scored in this copy

    def __len__(self) -> int:
        return len(self.chunk)


def mask_copies(
    scorable: npt.NDArray[np.bool_], words: npt.NDArray[Any], offsets: npt.NDArray[Any], unit: MaskUnit, stride: int = 0
) -> MaskedCopies:
    """The copies in which each scorable token of the chunks is scored once.

    ``scorable`` bool[T] leaves out special tokens and the like; ``words`` [T] numbers the word of each token, equal
    for neighbours in one word. ``stride`` n masks every n-th token (or word) in one copy, so that a chunk has n copies
    in place of one for each: faster, but a token's context has holes, and scores fall as n gets small; 0: one at once.
    On 24 paragraphs by the demo's model (-4.13 a token) n = 4 / 8 / 16 changed the mean log-probability of a token by
    -0.065 / -0.014 / -0.002; the paragraphs' ranks stayed (Spearman 0.987 / 0.997 / 0.991).
    """
    copies = [_of_chunk(scorable[a:b], words[a:b], unit, stride) for a, b in itertools.pairwise(offsets)]
    counts = [len(sizes) for sizes, _, _ in copies]
    sizes = _joined([sizes for sizes, _, _ in copies], np.int64)
    return MaskedCopies(
        chunk=np.repeat(np.arange(len(copies)), counts),
        mask_offsets=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]),
        positions=_joined([positions for _, positions, _ in copies], np.int64),
        scored=_joined([scored for _, _, scored in copies], np.bool_),
    )


def _of_chunk(
    scorable: npt.NDArray[np.bool_], words: npt.NDArray[Any], unit: MaskUnit, stride: int
) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """Of one chunk: masks of each copy, their positions copy by copy, and which are scored."""
    positions = np.flatnonzero(scorable)
    if unit == "token":
        number, rank = np.arange(len(positions)), np.zeros(len(positions), np.int64)
    else:
        number, rank = _word_numbers(words[positions])
    turn = number % stride if stride else number
    if unit != "word_l2r":
        return _grouped(turn, positions, np.ones(len(positions), bool))
    # A copy a turn and rank: it scores the tokens of that rank, and masks them and those behind them in their words.
    masks = [(token, r) for token, last in enumerate(rank) for r in range(last + 1)]
    token, r = np.array(masks, np.int64).reshape(-1, 2).T
    return _grouped(turn[token] * (int(rank.max(initial=0)) + 1) + r, positions[token], rank[token] == r)


def _word_numbers(words: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """Number of each token's word, from 0, and of the token in its word."""
    begins = np.concatenate([[True], words[1:] != words[:-1]])[: len(words)]
    number = np.cumsum(begins) - 1
    return number, np.arange(len(words)) - np.flatnonzero(begins)[number]


def _grouped(copy: Ints, positions: Ints, scored: npt.NDArray[np.bool_]) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    order = np.lexsort((positions, copy))
    _, sizes = np.unique(copy, return_counts=True)
    return sizes.astype(np.int64), positions[order], scored[order]


def _joined(arrays: list[npt.NDArray[Any]], dtype: Any) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *arrays]).astype(dtype)


def masked_values(
    values: npt.NDArray[Any], offsets: npt.NDArray[Any], copies: MaskedCopies, mask_id: int
) -> tuple[npt.NDArray[np.int32], Ints]:
    """Token ids int32[T'] of the copies end to end, the mask's id where they are masked, and offsets int64[C + 1]."""
    lengths = np.diff(offsets)[copies.chunk]
    ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    places = np.arange(ends[-1]) - np.repeat(ends[:-1], lengths) + np.repeat(offsets[copies.chunk], lengths)
    masked = values[places].astype(np.int32)
    counts = np.diff(copies.mask_offsets)
    masked[np.repeat(ends[:-1], counts) + copies.positions] = mask_id
    return masked, ends


def nth_words_masked(
    values: npt.NDArray[Any],
    offsets: npt.NDArray[Any],
    scorable: npt.NDArray[np.bool_],
    words: npt.NDArray[Any],
    mask_id: int,
    every: int,
) -> npt.NDArray[np.int32]:
    """The token ids, with every so many words masked, all their tokens, in the chunks that have no mask themselves.

    ``every`` n masks a chunk's n-th word, its 2n-th and so on.
    """
    masked = values.astype(np.int32)
    for start, stop in itertools.pairwise(offsets):
        places = start + np.flatnonzero(scorable[start:stop])
        if len(places) and not (values[start:stop] == mask_id).any():
            number, _ = _word_numbers(words[places])
            masked[places[number % every == every - 1]] = mask_id
    return masked
