"""What a predictor finds: C chunks of T tokens in all, M masks among them; numbers are NaN where a chunk failed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.model.labels import Labels
from pipelines.model.tokens import SentencePairs

LEAST_SCORED = 2
"""Scored tokens that a pseudo-perplexity needs: a single one has no context."""


@dataclass(frozen=True)
class Vectors:
    """A vector a chunk."""

    vectors: npt.NDArray[np.float32]  # [C, dim]


@dataclass(frozen=True)
class TokenEmbeddings:
    """A vector a token."""

    vectors: npt.NDArray[np.float16]  # [T, dim]
    chars: npt.NDArray[np.int32]  # [T, 2], the token's place in the text; -1: special, or of the prompt


@dataclass(frozen=True)
class Filled:
    """Fillings of the chunks' masks."""

    counts: npt.NDArray[np.int64]  # [C], masks of each chunk
    positions: npt.NDArray[np.int32]  # [M], the mask's place among its chunk's tokens
    ids: npt.NDArray[np.int64]  # [M, k], likeliest first
    log_probs: npt.NDArray[np.float32]  # [M, k]
    tokens: list[str]  # M * k, as the vocabulary has them
    texts: list[str]  # C, decoded with the likeliest filling of each mask


@dataclass(frozen=True)
class Perplexities:
    """Pseudo-log-likelihoods."""

    log_prob: npt.NDArray[np.float64]  # [C], sum over the scored tokens
    num_scored: npt.NDArray[np.int32]  # [C]
    token_log_probs: npt.NDArray[np.float32]  # [T], NaN where a token is not scored

    @property
    def perplexity(self) -> npt.NDArray[np.float64]:
        """[C], exp(-log_prob / num_scored); NaN where too few tokens are scored."""
        known = self.num_scored >= LEAST_SCORED
        mean = np.divide(-self.log_prob, self.num_scored, where=known, out=np.full(len(known), np.nan))
        return np.exp(mean)


@dataclass(frozen=True)
class Classified:
    """A classifier's logits, and what they stand for."""

    logits: npt.NDArray[np.float32]  # [C, L] of chunks, [T, L] of tokens, [T, 2] of the ends of answers
    labels: Labels
    cls_id: int | None  # the token that stands for no answer


@dataclass(frozen=True)
class Followed:
    """Whether second texts follow."""

    probabilities: npt.NDArray[np.float32]  # [C]


@dataclass(frozen=True)
class FollowedSentences:
    """Whether each sentence but a document's first follows the one before."""

    probabilities: npt.NDArray[np.float32]  # [P]
    pairs: SentencePairs
