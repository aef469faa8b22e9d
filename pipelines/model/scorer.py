"""What a masked language model says of chunks: the likeliest fillings of masks, how likely each token is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.model.device import Precision, pick_device, pick_lanes, pick_precision, pick_token_budget
from pipelines.model.encoder import Encoded
from pipelines.model.folder import ModelFolder
from pipelines.model.loop import BatchLoop, Chunks, LoopStats, Rows
from pipelines.model.masked_lm import load_masked_lm, token_log_probs, top_k
from pipelines.model.refusal import refusals
from pipelines.spec import DocumentSpec
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
    """A masked language model on one device. ``spec`` is resolved.

    SpecError where the folder does not load, or has no masked-language-model head.
    """

    def __init__(
        self,
        folder: ModelFolder,
        spec: DocumentSpec,
        *,
        device: str = "auto",
        num_threads: int | str = "auto",
        token_budget: int | str = "auto",
        path: str = "auto",
        attention: str = "auto",
    ) -> None:
        self._folder, self._spec, self._attention = folder, spec, attention
        self._device = pick_device(device)
        self.device = self._device.type
        self.precision: Precision = pick_precision(spec.precision, self._device)
        self._model = load_masked_lm(
            folder, spec, device=self._device, precision=self.precision, path=path, attention=attention
        )
        self.path = self._model.network.path
        self.compiled = False
        self._loop = BatchLoop(
            self._model.network, self._device, lanes=pick_lanes(num_threads, self._device),
            token_budget=pick_token_budget(token_budget, self._device), max_positions=folder.max_positions,
        )  # fmt: skip

    @classmethod
    def plain(cls, folder: ModelFolder, spec: DocumentSpec) -> MaskScorer:
        """The path that all others are held against: float32, eager attention, on the CPU."""
        return cls(folder, replace(spec, precision="float32"), device="cpu", path="padded", attention="eager")

    def variant(self, *, precision: Precision | None = None, compile: bool | None = None) -> MaskScorer:
        """The same scorer in another precision; it is never compiled."""
        spec = replace(self._spec, precision=precision or self.precision)
        budget = self._loop.token_budget
        return MaskScorer(
            self._folder, spec, device=self.device, token_budget=budget, path=self.path, attention=self._attention
        )

    def encode(self, values: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], prompt_length: int = 0) -> Encoded:
        """Logits at one token of each chunk, the middle one, less their mean: what the gate compares."""
        chunks = Chunks(values, offsets)
        logits = np.full((len(chunks), self._model.head.vocab_size), np.nan, np.float32)

        def take(masks: Rows, hidden_md: Tensor) -> None:
            found = self._model.head(hidden_md)
            logits[masks] = (found - found.mean(dim=-1, keepdim=True)).cpu().numpy()

        middle = _Masks(np.arange(len(chunks) + 1), chunks.lengths // 2)
        failures, stats = self._run(chunks, middle, take)
        return Encoded(logits, failures, stats)

    def fill(self, chunks: Chunks, mask_id: int, k: int) -> Fillings:
        """The k likeliest tokens at each mask of the chunks, in their order, each told by all that is not masked."""
        places = np.flatnonzero(chunks.values == mask_id)
        owners = np.searchsorted(chunks.offsets, places, side="right") - 1
        mask_offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(chunks)))])
        ids = np.full((len(places), k), -1, np.int64)
        log_probs = np.full((len(places), k), np.nan, np.float32)

        def take(masks: Rows, hidden_md: Tensor) -> None:
            found = top_k(self._model.head, hidden_md, k)
            log_probs[masks], ids[masks] = (tensor.cpu().numpy() for tensor in found)

        at = _Masks(mask_offsets, places - chunks.offsets[owners])
        failures, stats = self._run(chunks, at, take)
        return Fillings(ids, log_probs, failures, stats)

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
        failures = refusals(chunks.values, chunks.offsets, self._model.network.vocab_size, self._folder.max_positions)
        scorable = scorable & ~np.repeat(np.isin(np.arange(len(chunks)), list(failures)), chunks.lengths)
        total = LoopStats(token_budget=self._loop.token_budget)
        for rows in _groups(chunks, scorable):
            part = _taken(chunks, rows)
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
            found = token_log_probs(self._model.head, hidden_md, targets[torch.from_numpy(masks)].to(hidden_md.device))
            log_probs[homes[masks]] = found.cpu().numpy()

        copied = Chunks(*masked_values(chunks.values, chunks.offsets, copies, mask_id))
        failed, stats = self._run(copied, _Masks(copies.mask_offsets, copies.positions), take)
        return log_probs, {int(copies.chunk[copy]): reason for copy, reason in failed.items()}, stats

    def _run(
        self, chunks: Chunks, masks: _Masks, take: Callable[[Rows, Tensor], None]
    ) -> tuple[dict[int, str], LoopStats]:
        """Give ``take`` the vectors at the masks of each batch. Chunks without a mask are not run."""
        rows = np.flatnonzero(np.diff(masks.offsets))
        harvest = _AtMasks(masks.of(rows), take)
        probe = _AtMasks(_Masks(np.array([0, 1]), np.array([1])), lambda _, hidden_md: self._probe(hidden_md))
        failures, stats = self._loop.run(_taken(chunks, rows), harvest, lambda: probe)
        return {int(rows[row]): reason for row, reason in failures.items()}, stats

    def _probe(self, hidden_md: Tensor) -> None:
        top_k(self._model.head, hidden_md, 1)


@dataclass(frozen=True)
class _Masks:
    """Places of masks in their chunks, of chunk i those of ``offsets[i]:offsets[i + 1]``, and the masks' numbers."""

    offsets: Rows
    positions: Rows
    numbers: Rows | None = None

    def of(self, rows: Rows) -> _Masks:
        """The masks of these chunks, by their old numbers."""
        counts = np.diff(self.offsets)[rows]
        numbers = gathered(self.offsets[rows], counts)
        return _Masks(np.concatenate([[0], np.cumsum(counts)]), self.positions[numbers], numbers)


class _AtMasks:
    """A ``pipelines.model.loop.Harvest`` of the vectors at masks alone, so that nothing else meets the vocabulary."""

    def __init__(self, masks: _Masks, take: Callable[[Rows, Tensor], None]) -> None:
        self._masks, self._take = masks, take

    def __call__(self, rows: Rows, hidden_td: Tensor, lengths_b: Tensor) -> None:
        lengths = lengths_b.cpu().numpy()
        here = self._masks.of(rows)
        starts = np.repeat(np.cumsum(lengths) - lengths, np.diff(here.offsets))
        places = torch.from_numpy(starts + here.positions).to(hidden_td.device)
        numbers = here.numbers if self._masks.numbers is None else self._masks.numbers[here.numbers]
        self._take(numbers, hidden_td[places])  # type: ignore[arg-type]


def _groups(chunks: Chunks, scorable: npt.NDArray[np.bool_]) -> Iterator[Rows]:
    """Chunks of like length whose copies have together some GROUP_TOKENS tokens."""
    before = np.concatenate([[0], np.cumsum(scorable)])
    copies = np.diff(before[chunks.offsets])
    order = np.argsort(-chunks.lengths, kind="stable")
    number = np.cumsum((copies * chunks.lengths)[order]) // GROUP_TOKENS
    yield from np.split(order, np.flatnonzero(np.diff(number)) + 1) if len(chunks) else []


def _taken(chunks: Chunks, rows: Rows) -> Chunks:
    """These chunks alone, in this order."""
    lengths = chunks.lengths[rows]
    values = chunks.values[gathered(chunks.offsets[rows], lengths)]
    return Chunks(values, np.concatenate([[0], np.cumsum(lengths)]))
