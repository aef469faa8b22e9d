"""What a masked language model is trained on: batches of token ids, some of them hidden, and what they were.

The recipe is BERT's (Devlin et al. 2019, arXiv:1810.04805, section 3.1): 15 % of the tokens are to be told; of those
80 % are masked, 10 % are replaced by any token, and 10 % stay. Which ones is drawn anew each time a text comes round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from pipelines.model.loop import Chunks
from pipelines.text.pack import pad_batch, plan_batches

Ints = npt.NDArray[np.int64]

TOLD, MASKED, REPLACED = 0.15, 0.8, 0.1
"""Share of the tokens that are to be told, and of these what share is masked, and replaced."""
IGNORED = -100
"""Label of a token that is not to be told, as transformers has it."""


@dataclass(frozen=True)
class Batch:
    """B texts, padded on the right to S tokens. Labels are the hidden tokens' ids, IGNORED elsewhere."""

    input_ids: Ints  # [B, S]
    attention_mask: Ints  # [B, S]
    labels: Ints  # [B, S]


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that masking has to know. ``ordinary`` are the ids that stand for text."""

    pad_id: int
    mask_id: int
    ordinary: Ints

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Vocabulary:
        """Of a BERT tokenizer, whose special tokens are named [PAD] and [MASK]."""
        added = tokenizer.get_added_tokens_decoder().items()
        special = [number for number, token in added if token.special]
        vocabulary = tokenizer.get_vocab()
        ordinary = np.setdiff1d(list(vocabulary.values()), special)
        return cls(vocabulary["[PAD]"], vocabulary["[MASK]"], ordinary)


def tokenized(texts: Sequence[str], folder: Path, max_seqlen: int) -> tuple[Chunks, Vocabulary]:
    """The beginning of each text as token ids, special tokens included, by the tokenizer of a model's folder."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_seqlen)
    rows = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return Chunks(np.concatenate(rows).astype(np.int32), offsets), Vocabulary.of(tokenizer)


def mask(values: npt.NDArray[np.int32], vocabulary: Vocabulary, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Token ids [T] with some of them hidden, and the labels [T]. Special tokens are never hidden, nor put in."""
    told = (rng.random(len(values)) < TOLD) & np.isin(values, vocabulary.ordinary)
    draw, others = rng.random(len(values)), rng.choice(vocabulary.ordinary, len(values))
    hidden = np.where(draw < MASKED, vocabulary.mask_id, np.where(draw < MASKED + REPLACED, others, values))
    return np.where(told, hidden, values), np.where(told, values, IGNORED)


def epoch(chunks: Chunks, vocabulary: Vocabulary, token_budget: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Each text once, those of like length together, in batches of at most so many tokens, padding counted.

    The batches come in any order.
    """
    values, labels = mask(chunks.values, vocabulary, rng)
    plan = plan_batches(chunks.lengths, token_budget, padded=True)
    for number in rng.permutation(len(plan)):
        input_ids, attention_mask = pad_batch(values, chunks.offsets, plan[number], vocabulary.pad_id)
        yield Batch(input_ids, attention_mask, pad_batch(labels, chunks.offsets, plan[number], IGNORED)[0])
