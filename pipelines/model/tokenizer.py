"""Documents to chunks of token ids, flat and without padding.

The tokenizers library is called directly where the folder has a tokenizer.json: transformers takes seconds to import.
Truncation and padding that the file carries are switched off; chunks are cut here, by the spec.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from tokenizers import Encoding

from pipelines.model.asked import Asked, asked_of
from pipelines.model.folder import ModelFolder
from pipelines.model.special_tokens import special_tokens
from pipelines.model.tokenizer_files import load_tokenizer, named_token
from pipelines.model.tokens import Frame, Ids, TokenizedDocuments, common_prefix, cut, joined, word_numbers
from pipelines.predict_spec import PredictSpec
from pipelines.spec import DocumentSpec, refuse
from pipelines.text.pair import longest_first, second_windowed

MASKS = ("[MASK]", "<mask>")
"""What the mask is called where the tokenizer's configuration does not say."""
FIRSTS = ("[CLS]", "<s>")
"""What the first token of a text is called where the tokenizer's configuration does not say."""
SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class _Prompt:
    text: str
    ids: Ids  # without special tokens


class DocumentTokenizer:
    """Cuts documents into chunks of at most ``spec.max_seqlen`` tokens.

    ``spec`` is resolved. SpecError where the folder has no tokenizer, or where prompt and special tokens leave no room.
    """

    def __init__(self, folder: ModelFolder, spec: DocumentSpec) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one actor a core beats many threads in one
        self._folder, self._spec, self._asked = folder, spec, asked_of(spec, folder)
        self._tokenizer = load_tokenizer(folder, trust_remote_code=spec.trust_remote_code)
        self._template = special_tokens(self._tokenizer)
        self._lone = np.array([folder.pad_token_id], np.int32)  # stands for a text that has no token at all
        self._prompt = lru_cache(maxsize=16)(self._measure)
        self._room(len(self._prompt(spec.prompt).ids))

    @property
    def prompt_length(self) -> int:
        """Tokens of the spec's prompt with the special tokens before it: what ``include_prompt`` false leaves out."""
        return self.prompt_tokens(self._spec.prompt)

    def prompt_tokens(self, prompt: str) -> int:
        """Like ``prompt_length`` for another prompt; 0 for none."""
        return len(self._template.before) + len(self._prompt(prompt).ids) if prompt else 0

    @property
    def mask_id(self) -> int | None:
        """Token id of the mask that stands in texts, such as "[MASK]"; None where the tokenizer has none."""
        return self._id_of(named_token(self._folder, "mask_token"), *MASKS)

    @property
    def cls_id(self) -> int | None:
        """Token id of the token that stands for a whole text, such as "[CLS]"; None where the tokenizer has none."""
        return self._id_of(named_token(self._folder, "cls_token"), *FIRSTS)

    @property
    def special_ids(self) -> Ids:
        """Ids that stand for no text of a document's own, the mask's among them; the unknown token's does."""
        unknown = named_token(self._folder, "unk_token") or getattr(self._tokenizer.model, "unk_token", None)
        added = self._tokenizer.get_added_tokens_decoder().items()
        return np.array(sorted(n for n, token in added if token.special and token.content != unknown), np.int32)

    @property
    def has_types(self) -> bool:
        """Whether the tokens of a pair's second text are of a type of their own."""
        return self._template.has_types

    def _id_of(self, *tokens: str) -> int | None:
        """The id of the first of these tokens that there is."""
        return next((found for token in tokens if (found := self._tokenizer.token_to_id(token)) is not None), None)

    def decode(self, ids: Sequence[int]) -> str:
        """The text that the ids stand for, special tokens left out."""
        return str(self._tokenizer.decode(list(ids)))

    def token(self, token_id: int) -> str:
        """The token of an id, as the vocabulary has it; "" for an id that it does not have."""
        return (self._tokenizer.id_to_token(token_id) if token_id >= 0 else None) or ""

    def chunks(self, texts: Sequence[str], pairs: Sequence[str] = ()) -> TokenizedDocuments:
        """Chunks of documents with all that the spec's outputs need of them. ``pairs`` are second texts.

        A spec's question stands before each text, which is its context.
        """
        if isinstance(self._spec, PredictSpec) and self._spec.question:
            texts, pairs = [self._spec.question] * len(texts), texts
        asked = self._asked
        return self.tokenize(
            texts, pairs=pairs if asked.are_pairs else None, with_words=asked.words, with_chars=asked.chars
        )

    def tokenize(
        self,
        texts: Sequence[str],
        prompt: str | None = None,
        *,
        pairs: Sequence[str] | None = None,
        with_words: bool = False,
        with_chars: bool = False,
    ) -> TokenizedDocuments:
        """Chunks of the texts, in order. ``prompt`` stands before each text; None: the spec's.

        A chunk beyond a document's first begins with the prompt too. Lone surrogates count as U+FFFD. On request each
        token comes with the number of its word, as the tokenizer parts words, and with its place in the text.

        ``pairs`` are second texts, one a text, put behind it as the tokenizer puts two together. Of a pair that is too
        long the longer text is cut first; where chunks are asked for, the second is cut into windows, each behind the
        first.
        """
        ahead = self._prompt(self._spec.prompt if prompt is None else prompt)
        asked = Asked(words=with_words, chars=with_chars, are_pairs=pairs is not None)
        texts = [SURROGATES.sub("\ufffd", text) for text in texts]
        encodings = self._encoded([ahead.text + text for text in texts])
        if pairs is None:
            found = [(text, one, self._frame(one, ahead)) for text, one in zip(texts, encodings, strict=True)]
        else:
            pairs = [SURROGATES.sub("\ufffd", text) for text in pairs]
            both = zip(pairs, encodings, self._encoded(pairs), strict=True)
            found = [(text, two, self._pair_frame(one, two, ahead)) for text, one, two in both]
        stride = self._spec.stride if self._spec.overlong == "chunk" else None
        return joined([cut(*document, stride, self._lone, asked) for document in found], asked)

    def _encoded(self, texts: Sequence[str]) -> list[Encoding]:
        return list(self._tokenizer.encode_batch(list(texts), add_special_tokens=False))

    def _frame(self, encoding: Encoding, ahead: _Prompt) -> Frame:
        """The frame of a text that stands alone, behind the prompt."""
        ids = np.array(encoding.ids[: len(ahead.ids)], np.int32)
        repeated = common_prefix(ids, ahead.ids)
        prefix = np.concatenate([self._template.before, ids[:repeated]])
        return Frame(
            prefix=prefix, words=_no_words(prefix), suffix=self._template.after, begin=repeated, stop=len(encoding),
            room=self._room(repeated), skipped=len(ahead.text),
        )  # fmt: skip

    def _pair_frame(self, first: Encoding, second: Encoding, ahead: _Prompt) -> Frame:
        """The frame of a second text, behind the first one and its prompt."""
        kept, stop, room = self._kept_of_pair(len(first), len(second))
        before, between = self._template.before, self._template.between
        ids = np.array(first.ids[:kept], np.int32)
        words = word_numbers(first)[:kept]
        words[: common_prefix(ids, ahead.ids)] = -1
        return Frame(
            prefix=np.concatenate([before, ids, between]),
            words=np.concatenate([_no_words(before), words, _no_words(between)]),
            suffix=self._template.end, begin=0, stop=stop, room=room, is_cut=kept < len(first) or stop < len(second),
        )  # fmt: skip

    def _kept_of_pair(self, num_first: int, num_second: int) -> tuple[int, int, int]:
        """Tokens kept of the first text and of the second, and those of a window of the second."""
        template = self._template
        taken = len(template.before) + len(template.between) + len(template.end)
        room = int(self._spec.max_seqlen) - taken
        least = 2 * (self._spec.stride + 1)
        if room < least:
            refuse(self._spec, "max_seqlen", f"special tokens and two texts take {taken + least} at least: write more")
        if self._spec.overlong == "chunk":
            kept = second_windowed(num_first, room, self._spec.stride)
            return kept, num_second, room - kept
        kept, stop = longest_first(num_first, num_second, room)
        return kept, stop, max(1, room - kept)

    def _room(self, num_ahead: int) -> int:
        """Content tokens that fit into a chunk beside special tokens and so many of the prompt."""
        taken = len(self._template.before) + len(self._template.after) + num_ahead
        room = int(self._spec.max_seqlen) - taken
        if room <= self._spec.stride:
            least = taken + self._spec.stride + 1
            refuse(
                self._spec, "max_seqlen", f"special tokens, prompt and stride take {least - 1}: write {least} or more"
            )
        return room

    def _measure(self, prompt: str) -> _Prompt:
        prompt = SURROGATES.sub("\ufffd", prompt)
        return _Prompt(prompt, np.array(self._tokenizer.encode(prompt, add_special_tokens=False).ids, np.int32))


def _no_words(ids: Ids) -> Ids:
    return np.full(len(ids), -1, np.int32)
