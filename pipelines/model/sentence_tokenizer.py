"""Sentences to token ids, flat and without special tokens; and the special tokens that instances are made with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from pipelines.model.special_tokens import special_tokens
from pipelines.model.tokenizer_files import TokenizerFolder, load_tokenizer, named_token
from pipelines.model.tokens import Ids

AT_A_TIME = 1024
"""Sentences whose encodings are held at once: they take some hundred bytes a token."""
SEPARATORS = ("[SEP]", "</s>", "<|endoftext|>")
"""What may stand between two documents where the tokenizer's configuration names nothing."""


@dataclass(frozen=True, kw_only=True)
class TokenizedSentences:
    """The tokens of S sentences, end to end."""

    values: Ids  # [T]
    offsets: npt.NDArray[np.int64]  # [S + 1]


class SentenceTokenizer:
    """The tokenizer of a folder. SpecError where it has none that loads."""

    def __init__(self, folder: TokenizerFolder) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one actor a core beats many threads in one
        self._tokenizer = load_tokenizer(folder)
        self.special = special_tokens(self._tokenizer)
        self.separator = self._separator(folder)
        """What stands between two documents in one instance: one id, or none where the tokenizer has no such token."""

    @property
    def vocab_size(self) -> int:
        """Tokens of the vocabulary, added ones included."""
        return int(self._tokenizer.get_vocab_size())

    def tokenize(self, sentences: Sequence[str]) -> TokenizedSentences:
        """The ids of each sentence, without special tokens; none of one that the tokenizer leaves nothing of."""
        values, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
        for ids in self._ids(sentences):
            lengths.append(np.fromiter(map(len, ids), np.int64, len(ids)))
            values.append(np.fromiter(chain.from_iterable(ids), np.int32, int(lengths[-1].sum())))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(lengths))])
        return TokenizedSentences(values=np.concatenate(values), offsets=offsets)

    def _ids(self, sentences: Sequence[str]) -> Iterator[list[list[int]]]:
        for begin in range(0, len(sentences), AT_A_TIME):
            batch = list(sentences[begin : begin + AT_A_TIME])
            yield [one.ids for one in self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)]

    def _separator(self, folder: TokenizerFolder) -> Ids:
        names = (named_token(folder, "sep_token"), named_token(folder, "eos_token"), *SEPARATORS)
        found = (self._tokenizer.token_to_id(name) for name in names if name)
        return np.array([number for number in found if number is not None][:1], np.int32)
