"""What a masked language model says of chunks: the likeliest fillings of masks, how likely each token is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.model.at_masks import AtMasks, Masks
from pipelines.model.loop import Chunks, LoopStats, Rows
from pipelines.model.masked_lm import token_log_probs, top_k
from pipelines.model.reader import Gleaning, Reader
from pipelines.model.refusal import refusals
from pipelines.text.mask import MaskedCopies, MaskUnit, mask_copies, masked_values
from pipelines.text.pack import gathered

GROUP_TOKENS = 2**20
"""Tokens of masked copies that are made at a time: a slice of long documents would have gigabytes of them."""


@dataclass(frozen=True)
class Fillings:
    """Of M masks the k likeliest tokens: NaN and -1 where the chunk failed, and why it did."""

    ids: npt.NDArray[np.int64]  # [M, k]
    log_probs: npt.NDArray[np.float32]  # [M, k]
    failures: dict[int, str] = field(default_factory=dict)
    stats: LoopStats = field(default_factory=LoopStats)


@dataclass(frozen=True)
class TokenScores:
    """Of T tokens the log-probabilities, NaN where a token is not scored, and why chunks failed."""

    log_probs: npt.NDArray[np.float32]  # [T]
    failures: dict[int, str] = field(default_factory=dict)
    stats: LoopStats = field(default_factory=LoopStats)


class MaskScorer:
    """Fillings and scores by a reader that has a masked-language-model head."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def fill(self, chunks: Chunks, mask_id: int, k: int) -> Fillings:
        """The k likeliest tokens at each mask of the chunks, in their order, each told by all that is not masked."""
        gleaning, found = self.fillings(chunks, mask_id, k)
        failures, stats = self._reader.read(chunks, [gleaning])
        return Fillings(found.ids, found.log_probs, failures, stats)

    def fillings(self, chunks: Chunks, mask_id: int, k: int) -> tuple[Gleaning, Fillings]:
        """What ``fill`` takes from a pass, and where it puts it. Chunks without a mask are not needed."""
        masks = Masks.of_id(chunks, mask_id)
        ids = np.full((len(masks), k), -1, np.int64)
        log_probs = np.full((len(masks), k), np.nan, np.float32)

        def take(numbers: Rows, hidden_md: Tensor) -> None:
            found = top_k(self._reader.mask_head, hidden_md, k)
            log_probs[numbers], ids[numbers] = (tensor.cpu().numpy() for tensor in found)

        return self._gleaning(masks, AtMasks(masks, take)), Fillings(ids, log_probs)

    def score(
        self,
        chunks: Chunks,
        scorable: npt.NDArray[np.bool_],
        words: npt.NDArray[Any],
        mask_id: int,
        unit: MaskUnit = "token",
        stride: int = 0,
    ) -> TokenScores:
        """Log-probability of each scorable token of the chunks when it is masked: see ``pipelines.text.mask``."""
        log_probs = np.full(len(chunks.values), np.nan, np.float32)
        # A token that the vocabulary lacks would be hidden by its own mask, and then asked for.
        failures = refusals(chunks.values, chunks.offsets, self._reader.vocab_size, self._reader.folder.max_positions)
        scorable = scorable & ~np.repeat(np.isin(np.arange(len(chunks)), list(failures)), chunks.lengths)
        total = LoopStats()
        for rows in _groups(chunks, scorable):
            part = chunks.take(rows)
            places = gathered(chunks.offsets[rows], chunks.lengths[rows])
            copies = mask_copies(scorable[places], words[places], part.offsets, unit, stride)
            scores, failed, stats = self._score(part, copies, mask_id)
            log_probs[places] = scores
            failures |= {int(rows[chunk]): reason for chunk, reason in failed.items()}
            total = total.plus(stats)
        return TokenScores(log_probs, failures, total)

    def _score(
        self, chunks: Chunks, copies: MaskedCopies, mask_id: int
    ) -> tuple[npt.NDArray[np.float32], dict[int, str], LoopStats]:
        """Log-probabilities [T] of one group's tokens, and the chunks of which a copy failed."""
        chunk_of_mask = np.repeat(copies.chunk, np.diff(copies.mask_offsets))
        homes = chunks.offsets[chunk_of_mask] + copies.positions
        targets = torch.from_numpy(chunks.values[homes].astype(np.int64))
        log_probs = np.full(len(chunks.values), np.nan, np.float32)

        def take(masks: Rows, hidden_md: Tensor) -> None:
            wanted = copies.scored[masks]
            masks, hidden_md = masks[wanted], hidden_md[torch.from_numpy(wanted)]
            found = token_log_probs(
                self._reader.mask_head, hidden_md, targets[torch.from_numpy(masks)].to(hidden_md.device)
            )
            log_probs[homes[masks]] = found.cpu().numpy()

        starts = None if chunks.segment_b_start is None else chunks.segment_b_start[copies.chunk]
        copied = Chunks(*masked_values(chunks.values, chunks.offsets, copies, mask_id), starts)
        masks = Masks(copies.mask_offsets, copies.positions)
        failed, stats = self._reader.read(copied, [self._gleaning(masks, AtMasks(masks, take))])
        return log_probs, {int(copies.chunk[copy]): reason for copy, reason in failed.items()}, stats

    def _gleaning(self, masks: Masks, harvest: AtMasks) -> Gleaning:
        return Gleaning(rows=np.flatnonzero(masks.counts), harvest=harvest, probe=self._probe)

    def _probe(self) -> AtMasks:
        one = Masks(np.array([0, 1]), np.array([1]))
        return AtMasks(one, lambda _, hidden_md: top_k(self._reader.mask_head, hidden_md, 1))


def _groups(chunks: Chunks, scorable: npt.NDArray[np.bool_]) -> Iterator[Rows]:
    """Chunks of like length whose copies have together some GROUP_TOKENS tokens."""
    before = np.concatenate([[0], np.cumsum(scorable)])
    copies = np.diff(before[chunks.offsets])
    order = np.argsort(-chunks.lengths, kind="stable")
    number = np.cumsum((copies * chunks.lengths)[order]) // GROUP_TOKENS
    yield from np.split(order, np.flatnonzero(np.diff(number)) + 1) if len(chunks) else []
