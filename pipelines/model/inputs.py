"""What a predictor reads: chunks, and what is known of their tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.model.loop import Chunks, Rows
from pipelines.model.tokens import SentencePairs, TokenizedDocuments

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """C chunks of T tokens. What is None was not asked for."""

    values: Ints  # [T]
    offsets: Rows  # [C + 1]
    segment_b_start: Ints | None = None  # [C], of pairs: place of the second text's first token
    words: Ints | None = None  # [T], number of each token's word; -1: special, or of the prompt
    chars: Ints | None = None  # [T, 2], start and end of each token in the text; -1: special, or ahead
    sentences: SentencePairs | None = None

    @classmethod
    def of(cls, tokens: TokenizedDocuments, sentences: SentencePairs | None = None) -> Inputs:
        """What a tokenizer gave."""
        names = ("values", "offsets", "segment_b_start", "words", "chars")
        return cls(**{name: getattr(tokens, name) for name in names}, sentences=sentences)

    def chunks(self, *, typed: bool) -> Chunks:
        """The chunks; ``typed`` says whether second texts are of a type of their own."""
        return Chunks(self.values, self.offsets, self.segment_b_start if typed else None)
