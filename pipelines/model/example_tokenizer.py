"""Labelled texts to token ids with special tokens, at most so many: texts, pairs, and words with a tag each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding
from tokenizers.pre_tokenizers import BertPreTokenizer, ByteLevel

from pipelines.errors import SpecError
from pipelines.model.special_tokens import special_tokens
from pipelines.model.tokenizer_files import TokenizerFolder, load_tokenizer
from pipelines.model.tokens import Ids, word_numbers
from pipelines.text.pair import longest_first

AT_A_TIME = 1024
"""Texts whose encodings are held at once: they take some hundred bytes a token."""
CHARACTERS_A_TOKEN = 8
"""Characters of a long text that are tried first, for each token that there is room for."""
LEAST_ROOM = 4
"""Tokens beside special ones: two texts of two."""


@dataclass(frozen=True, kw_only=True)
class TokenizedExamples:
    """n examples of T tokens in all, special ones included."""

    values: Ids  # [T]
    offsets: npt.NDArray[np.int64]  # [n + 1]
    segment_b_start: Ids  # [n], place of the second text's first token; 0: one text
    is_cut: npt.NDArray[np.bool_]  # [n], whether tokens were left out at the end
    words: Ids | None = None  # [T], number of each token's word; -1: special


class ExampleTokenizer:
    """The tokenizer of a folder, for examples of at most ``max_seqlen`` tokens.

    SpecError where the folder has none that loads, or where its special tokens leave no room.
    """

    def __init__(self, folder: TokenizerFolder, max_seqlen: int) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one actor a core beats many threads in one
        self._tokenizer = load_tokenizer(folder)
        self.special = special_tokens(self._tokenizer)
        self.max_seqlen = max_seqlen
        least = max(self.special.num_single, self.special.num_pair) + LEAST_ROOM
        if max_seqlen < least:
            raise SpecError(f"max_seqlen is {max_seqlen}, and special tokens take {least - LEAST_ROOM}: write {least}")

    def encodings(self, texts: Sequence[str]) -> Iterator[Encoding]:
        """What the tokenizers library says of each text, without special tokens."""
        for begin in range(0, len(texts), AT_A_TIME):
            yield from self._tokenizer.encode_batch(list(texts[begin : begin + AT_A_TIME]), add_special_tokens=False)

    def texts(self, texts: Sequence[str]) -> TokenizedExamples:
        """The beginning of each text, with the special tokens around it."""
        special, room = self.special, self.max_seqlen - self.special.num_single
        found = self._beginnings(texts, room)
        rows = [np.concatenate([special.before, ids[:room], special.after]) for ids in found]
        return _examples(rows, np.zeros(len(rows), np.int32), [len(ids) > room for ids in found])

    def pairs(self, texts: Sequence[str], pairs: Sequence[str]) -> TokenizedExamples:
        """Two texts an example; where they are too long, the longer one is cut first."""
        special, room = self.special, self.max_seqlen - self.special.num_pair
        rows, starts, is_cut = [], [], []
        for one, two in zip(self.encodings(texts), self.encodings(pairs), strict=True):
            first, second = longest_first(len(one), len(two), room)
            ahead = np.concatenate([special.before, np.array(one.ids[:first], np.int32), special.between])
            rows.append(np.concatenate([ahead, np.array(two.ids[:second], np.int32), special.end]))
            starts.append(len(ahead))
            is_cut.append(first < len(one) or second < len(two))
        return _examples(rows, np.array(starts, np.int32), is_cut)

    def words(self, words: Sequence[Sequence[str]]) -> TokenizedExamples:
        """The beginning of each example, whose words are tokenized one by one, with the number of each token's word."""
        special, room = self.special, self.max_seqlen - self.special.num_single
        before, after = (np.full(len(part), -1, np.int32) for part in (special.before, special.after))
        found = [(np.array(one.ids, np.int32), word_numbers(one)) for one in self._word_encodings(words)]
        rows = [np.concatenate([special.before, ids[:room], special.after]) for ids, _ in found]
        numbers = [np.concatenate([before, number[:room], after]) for _, number in found]
        flat = np.concatenate([np.zeros(0, np.int32), *numbers])
        return _examples(rows, np.zeros(len(rows), np.int32), [len(ids) > room for ids, _ in found], flat)

    def _beginnings(self, texts: Sequence[str], room: int) -> list[Ids]:
        """Ids of each text, or, where there are more than ``room``, at least so many of its first, and one more.

        Of a long text the beginning is tried first, up to a space, where that parts words whatever follows.
        """
        parts = [_beginning(text, room) for text in texts] if self._parts_at_spaces else list(texts)
        found = [np.array(one.ids, np.int32) for one in self.encodings(parts)]
        short = [n for n, ids in enumerate(found) if len(parts[n]) < len(texts[n]) and len(ids) <= room]
        for place, one in zip(short, self.encodings([texts[n] for n in short]), strict=True):
            found[place] = np.array(one.ids, np.int32)
        return found

    @property
    def _parts_at_spaces(self) -> bool:
        """Whether what stands behind a space changes no token before it."""
        return isinstance(self._tokenizer.pre_tokenizer, BertPreTokenizer)

    def _word_encodings(self, words: Sequence[Sequence[str]]) -> Iterator[Encoding]:
        """A tokenizer that tells a word by the space before it gets one for each."""
        spaces = self._tokenizer.pre_tokenizer
        if isinstance(spaces, ByteLevel):
            spaces.add_prefix_space = True
            self._tokenizer.pre_tokenizer = spaces
        for begin in range(0, len(words), AT_A_TIME):
            batch = [list(one) for one in words[begin : begin + AT_A_TIME]]
            yield from self._tokenizer.encode_batch(batch, is_pretokenized=True, add_special_tokens=False)


def _beginning(text: str, room: int) -> str:
    """The text up to a space that mostly has more than ``room`` tokens before it; all of it where there is none."""
    space = text.find(" ", CHARACTERS_A_TOKEN * (room + 1))
    return text if space < 0 else text[:space]


def _examples(rows: Sequence[Ids], starts: Ids, is_cut: Sequence[bool], words: Ids | None = None) -> TokenizedExamples:
    return TokenizedExamples(
        values=np.concatenate([np.zeros(0, np.int32), *rows]),
        offsets=np.cumsum([0, *map(len, rows)], dtype=np.int64),
        segment_b_start=starts,
        is_cut=np.array(is_cut, bool),
        words=words,
    )
