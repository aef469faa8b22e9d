"""Documents to chunks of token ids, flat and without padding.

The tokenizers library is called directly where the folder has a tokenizer.json: transformers takes seconds to import.
Truncation and padding that the file carries are switched off; chunks are cut here, by the spec.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer
from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as Normalizers

from pipelines.errors import SpecError
from pipelines.model.folder import ModelFolder
from pipelines.spec import DocumentSpec, refuse
from pipelines.text.chunk import windows

Ids = npt.NDArray[np.int32]
Chars = npt.NDArray[np.int64]
MASKS = ("[MASK]", "<mask>")
"""What the mask is called where the tokenizer's configuration does not say."""
SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class TokenizedDocuments:
    """Chunks of documents: T token ids, C chunks. Special tokens and the prompt's are counted; there is no padding.

    ``char_start`` and ``char_end`` say in code points which part of the text a chunk is, the prompt not counted: the
    first chunk starts with the text, and one that nothing was cut from ends with it.
    """

    values: npt.NDArray[np.int32]  # [T]
    offsets: npt.NDArray[np.int64]  # [C + 1]
    document: npt.NDArray[np.int32]  # [C], index of the text
    num_tokens: npt.NDArray[np.int32]  # [C]
    truncated: npt.NDArray[np.bool_]  # [C], whether the document goes on after its only chunk
    chunk_index: npt.NDArray[np.int32]  # [C], number of the chunk in its document
    char_start: npt.NDArray[np.int64]  # [C]
    char_end: npt.NDArray[np.int64]  # [C]
    words: npt.NDArray[np.int32] | None = None  # [T], number of each token's word; -1: special, or of the prompt


@dataclass(frozen=True)
class _Document:
    """A document's chunks."""

    rows: list[Ids]
    words: list[Ids]  # like rows, or none
    truncated: bool
    chars: Chars  # [chunks, 2], start and end of each


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
        self._folder, self._spec = folder, spec
        self._tokenizer = _load(folder, spec)
        self._before, self._after = self._special_tokens()
        self._lone = np.array([folder.pad_token_id], np.int32)  # stands for a text that has no token at all
        self._prompt = lru_cache(maxsize=16)(self._measure)
        self._room(self._prompt(spec.prompt))

    @property
    def prompt_length(self) -> int:
        """Tokens of the spec's prompt with the special tokens before it: what ``include_prompt`` false leaves out."""
        return self.prompt_tokens(self._spec.prompt)

    def prompt_tokens(self, prompt: str) -> int:
        """Like ``prompt_length`` for another prompt; 0 for none."""
        return len(self._before) + len(self._prompt(prompt).ids) if prompt else 0

    @property
    def mask_id(self) -> int | None:
        """Token id of the mask that stands in texts, such as "[MASK]"; None where the tokenizer has none."""
        tokens = [_named_token(self._folder, "mask_token"), *MASKS]
        return next((found for token in tokens if (found := self._tokenizer.token_to_id(token)) is not None), None)

    @property
    def special_ids(self) -> Ids:
        """Ids that stand for no text of a document's own, the mask's among them; the unknown token's does."""
        unknown = _named_token(self._folder, "unk_token") or getattr(self._tokenizer.model, "unk_token", None)
        added = self._tokenizer.get_added_tokens_decoder().items()
        return np.array(sorted(n for n, token in added if token.special and token.content != unknown), np.int32)

    def decode(self, ids: Sequence[int]) -> str:
        """The text that the ids stand for, special tokens left out."""
        return str(self._tokenizer.decode(list(ids)))

    def token(self, token_id: int) -> str:
        """The token of an id, as the vocabulary has it; "" for an id that it does not have."""
        return (self._tokenizer.id_to_token(token_id) if token_id >= 0 else None) or ""

    def tokenize(
        self, texts: Sequence[str], prompt: str | None = None, *, with_words: bool = False
    ) -> TokenizedDocuments:
        """Chunks of the texts, in order. ``prompt`` stands before each text; None: the spec's.

        A chunk beyond a document's first begins with the prompt too. Lone surrogates count as U+FFFD. On request each
        token comes with the number of its word, as the tokenizer parts words.
        """
        ahead = self._prompt(self._spec.prompt if prompt is None else prompt)
        texts = [SURROGATES.sub("\ufffd", text) for text in texts]
        encodings = self._tokenizer.encode_batch([ahead.text + text for text in texts], add_special_tokens=False)
        documents = [self._document(*pair, ahead, with_words) for pair in zip(texts, encodings, strict=True)]
        return _columns(documents, with_words)

    def _document(self, text: str, encoding: Encoding, ahead: _Prompt, with_words: bool) -> _Document:
        ids = np.array(encoding.ids, np.int32)
        repeated = _common_prefix(ids, ahead.ids)
        spans = windows(len(ids) - repeated, self._room(ahead, repeated), self._spec.stride) + repeated
        truncated = self._spec.overlong == "truncate" and len(spans) > 1
        spans = spans[:1] if truncated else spans
        prefix, suffix = np.concatenate([self._before, ids[:repeated]]), self._after
        rows = [np.concatenate([prefix, ids[start:stop], suffix]) for start, stop in spans.tolist()]
        rows = [row if len(row) else self._lone for row in rows]
        words = _words(encoding, spans, rows, len(prefix)) if with_words else []
        return _Document(rows, words, truncated, _char_spans(text, encoding, spans, len(ahead.text)))

    def _room(self, ahead: _Prompt, repeated: int | None = None) -> int:
        """Content tokens that fit into a chunk beside special tokens and prompt."""
        taken = len(self._before) + len(self._after) + (len(ahead.ids) if repeated is None else repeated)
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

    def _special_tokens(self) -> tuple[Ids, Ids]:
        """Ids that the tokenizer puts before and after a text."""
        bare = self._tokenizer.encode("a", add_special_tokens=False).ids
        full = self._tokenizer.encode("a", add_special_tokens=True).ids
        for start in range(len(full) - len(bare) + 1):
            if full[start : start + len(bare)] == bare:
                return np.array(full[:start], np.int32), np.array(full[start + len(bare) :], np.int32)
        raise SpecError("the tokenizer changes a text's own tokens when it adds special ones: choose another model")


def _load(folder: ModelFolder, spec: DocumentSpec) -> Tokenizer:
    path = folder.network_path / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path)) if path.exists() else _convert(folder, spec)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if folder.lowercase:
        normalizer = tokenizer.normalizer
        tokenizer.normalizer = Normalizers([Lowercase(), *([normalizer] if normalizer else [])])
    return tokenizer


def _convert(folder: ModelFolder, spec: DocumentSpec) -> Tokenizer:
    """The tokenizer that transformers makes from older files (vocab.txt, sentencepiece)."""
    from transformers import AutoConfig, AutoTokenizer

    told = "model_type" in folder.config  # else transformers would not know which tokenizer the files are for
    config = None if told else AutoConfig.for_model(folder.model_type, **folder.config)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder.network_path, config=config, local_files_only=True, trust_remote_code=spec.trust_remote_code
        )
    except (OSError, ValueError, ImportError) as error:
        raise SpecError(f"{folder.network_path} has no tokenizer that loads ({error}): add tokenizer.json") from error
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise SpecError(f"{folder.network_path} has a tokenizer written in Python alone: add tokenizer.json")
    return Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())


def _named_token(folder: ModelFolder, role: str) -> str:
    """A special token as the tokenizer's configuration names it; "" where it names none."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        path = folder.network_path / name
        found = json.loads(path.read_text(encoding="utf-8")).get(role) if path.exists() else None
        if found:
            return str(found["content"] if isinstance(found, dict) else found)
    return ""


def _common_prefix(ids: Ids, prompt: Ids) -> int:
    """How many of the prompt's tokens begin the document: a last one may have grown together with the text."""
    n = min(len(ids), len(prompt))
    differs = np.flatnonzero(ids[:n] != prompt[:n])
    return int(differs[0]) if len(differs) else n


def _char_spans(text: str, encoding: Encoding, spans: Chars, skipped: int) -> Chars:
    """Start and end in ``text`` of each span of tokens. Before the text stand ``skipped`` characters."""
    chars = np.array([[_char(encoding, start, 0), _char(encoding, stop - 1, 1)] for start, stop in spans.tolist()])
    chars = np.clip(chars - skipped, 0, len(text))
    chars[0, 0] = 0
    if not len(encoding) or spans[-1, 1] == len(encoding):
        chars[-1, 1] = len(text)
    return chars


def _char(encoding: Encoding, token: int, side: int) -> int:
    span = encoding.token_to_chars(token) if 0 <= token < len(encoding) else None
    return int(span[side]) if span else 0


def _words(encoding: Encoding, spans: Chars, rows: list[Ids], before: int) -> list[Ids]:
    """Number of each token's word, for each of the rows, in which ``before`` tokens stand ahead of the span."""
    numbers = np.array([-1 if word is None else word for word in encoding.word_ids], np.int32)
    words = [np.full(len(row), -1, np.int32) for row in rows]
    for row, (start, stop) in zip(words, spans.tolist(), strict=True):
        row[before : before + stop - start] = numbers[start:stop]
    return words


def _columns(documents: list[_Document], with_words: bool) -> TokenizedDocuments:
    rows = [row for document in documents for row in document.rows]
    num_tokens = np.array([len(row) for row in rows], np.int32)
    counts = np.array([len(document.rows) for document in documents], np.int64)
    firsts = np.cumsum(counts) - counts
    chars = np.concatenate([np.zeros((0, 2), np.int64), *(document.chars for document in documents)])
    return TokenizedDocuments(
        values=_joined(rows),
        offsets=np.concatenate([[0], np.cumsum(num_tokens, dtype=np.int64)]),
        document=np.repeat(np.arange(len(documents), dtype=np.int32), counts),
        num_tokens=num_tokens,
        truncated=np.repeat(np.array([document.truncated for document in documents], bool), counts),
        chunk_index=(np.arange(len(rows)) - np.repeat(firsts, counts)).astype(np.int32),
        char_start=chars[:, 0].astype(np.int64),
        char_end=chars[:, 1].astype(np.int64),
        words=_joined([row for document in documents for row in document.words]) if with_words else None,
    )


def _joined(rows: list[Ids]) -> Ids:
    return np.concatenate(rows) if rows else np.zeros(0, np.int32)
