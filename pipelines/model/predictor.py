"""What a spec asks a masked language model of chunks: fillings as tokens and text, and pseudo-perplexities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import SpecError
from pipelines.model.loop import Chunks, LoopStats
from pipelines.model.scorer import MaskScorer
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.spec import PredictSpec
from pipelines.text.mask import nth_words_masked

LEAST_SCORED = 2
"""Scored tokens that a pseudo-perplexity needs: a single one has no context."""


@dataclass(frozen=True)
class Filled:
    """Fillings of C chunks that have M masks in all."""

    counts: npt.NDArray[np.int64]  # [C], masks of each chunk
    positions: npt.NDArray[np.int32]  # [M], the mask's place among its chunk's tokens
    ids: npt.NDArray[np.int64]  # [M, k], likeliest first
    log_probs: npt.NDArray[np.float32]  # [M, k]
    tokens: list[str]  # M * k, as the vocabulary has them
    texts: list[str]  # C, decoded with the likeliest filling of each mask
    failures: dict[int, str]
    stats: LoopStats


@dataclass(frozen=True)
class Perplexities:
    """Pseudo-log-likelihoods of C chunks of T tokens in all."""

    log_prob: npt.NDArray[np.float64]  # [C], sum over the scored tokens
    num_scored: npt.NDArray[np.int32]  # [C]
    token_log_probs: npt.NDArray[np.float32]  # [T], NaN where a token is not scored
    failures: dict[int, str]
    stats: LoopStats

    @property
    def perplexity(self) -> npt.NDArray[np.float64]:
        """[C], exp(-log_prob / num_scored); NaN where too few tokens are scored."""
        known = self.num_scored >= LEAST_SCORED
        mean = np.divide(-self.log_prob, self.num_scored, where=known, out=np.full(len(known), np.nan))
        return np.exp(mean)


class Predictor:
    """A scorer with the tokenizer that made the chunks. SpecError where the tokenizer has no mask."""

    def __init__(self, scorer: MaskScorer, tokenizer: DocumentTokenizer, spec: PredictSpec) -> None:
        if tokenizer.mask_id is None:
            raise SpecError("the model's tokenizer has no mask token: choose a masked language model")
        self._scorer, self._tokenizer, self._spec = scorer, tokenizer, spec
        self._mask_id = tokenizer.mask_id

    def predict(self, output: str, chunks: Chunks, words: npt.NDArray[Any] | None = None) -> Filled | Perplexities:
        """An output of the spec's, by its name."""
        return self.fill(chunks, words) if output == "fill_mask" else self.perplexity(chunks, words)

    def fill(self, chunks: Chunks, words: npt.NDArray[Any] | None = None) -> Filled:
        """The likeliest fillings of the chunks' masks; with mask_every those of words that were masked for that.

        ``words`` [T] are the numbers of the tokens' words, which mask_every needs.
        """
        values = chunks.values
        if self._spec.mask_every and words is not None:
            scorable = self._scorable(chunks, words)
            values = nth_words_masked(values, chunks.offsets, scorable, words, self._mask_id, self._spec.mask_every)
        found = self._scorer.fill(Chunks(values, chunks.offsets), self._mask_id, self._spec.top_k)
        places = np.flatnonzero(values == self._mask_id)
        owners = np.searchsorted(chunks.offsets, places, side="right") - 1
        best = values.copy()
        best[places] = found.ids[:, 0]
        return Filled(
            counts=np.bincount(owners, minlength=len(chunks)),
            positions=(places - chunks.offsets[owners]).astype(np.int32),
            ids=found.ids,
            log_probs=found.log_probs,
            tokens=[self._tokenizer.token(one) for one in found.ids.ravel().tolist()],
            texts=[self._decoded(row, best) for row in self._rows(chunks, found.failures)],
            failures=found.failures,
            stats=found.stats,
        )

    def _rows(self, chunks: Chunks, failures: dict[int, str]) -> list[tuple[int, int]]:
        """Start and stop of each chunk; nothing of one that failed."""
        spans = zip(chunks.offsets[:-1].tolist(), chunks.offsets[1:].tolist(), strict=True)
        return [(start, start if chunk in failures else stop) for chunk, (start, stop) in enumerate(spans)]

    def _decoded(self, span: tuple[int, int], values: npt.NDArray[Any]) -> str:
        return self._tokenizer.decode(values[slice(*span)].tolist())

    def perplexity(self, chunks: Chunks, words: npt.NDArray[Any] | None = None) -> Perplexities:
        """The chunks' pseudo-log-likelihoods, by the spec's mask_unit and mask_stride, for which ``words`` [T] serve.

        Special tokens, the prompt and masks that stand in the text are not scored.
        """
        numbers = np.zeros(len(chunks.values)) if words is None else words
        scorable = self._scorable(chunks, words)
        spec = self._spec
        found = self._scorer.score(chunks, scorable, numbers, self._mask_id, spec.mask_unit, spec.mask_stride)
        before = np.concatenate([[0.0], np.cumsum(np.nan_to_num(found.log_probs.astype(np.float64)))])
        counts = np.concatenate([[0], np.cumsum(scorable)])
        return Perplexities(
            log_prob=np.diff(before[chunks.offsets]),
            num_scored=np.diff(counts[chunks.offsets]).astype(np.int32),
            token_log_probs=found.log_probs,
            failures=found.failures,
            stats=found.stats,
        )

    def _scorable(self, chunks: Chunks, words: npt.NDArray[Any] | None) -> npt.NDArray[np.bool_]:
        own: npt.NDArray[np.bool_] = ~np.isin(chunks.values, self._tokenizer.special_ids)
        if words is not None:
            return own & (words >= 0)
        ahead = self._tokenizer.prompt_length
        places = np.arange(len(own)) - np.repeat(chunks.offsets[:-1], chunks.lengths)
        return own & (places >= ahead)
