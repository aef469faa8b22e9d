"""From what the tokenizers library says of texts to chunks of token ids, flat and without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding

from pipelines.model.asked import Asked
from pipelines.text.chunk import windows

Ids = npt.NDArray[np.int32]
Chars = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class TokenizedDocuments:
    """Chunks of documents: T token ids, C chunks. Special tokens and the prompt's are counted; there is no padding.

    ``char_start`` and ``char_end`` say in code points which part of the text a chunk is, the prompt not counted: the
    first chunk starts with the text, and one that nothing was cut from ends with it. Of a pair, chunks and places are
    those of its second text.
    """

    values: npt.NDArray[np.int32]  # [T]
    offsets: npt.NDArray[np.int64]  # [C + 1]
    document: npt.NDArray[np.int32]  # [C], index of the text
    num_tokens: npt.NDArray[np.int32]  # [C]
    truncated: npt.NDArray[np.bool_]  # [C], whether the document goes on after its only chunk
    chunk_index: npt.NDArray[np.int32]  # [C], number of the chunk in its document
    char_start: npt.NDArray[np.int64]  # [C]
    char_end: npt.NDArray[np.int64]  # [C]
    segment_b_start: npt.NDArray[np.int32] | None = None  # [C], of pairs: place of the second text's first token
    words: npt.NDArray[np.int32] | None = None  # [T], number of each token's word; -1: special, or of the prompt
    chars: npt.NDArray[np.int32] | None = None  # [T, 2], start and end of each token in the text; -1: special, or ahead


@dataclass(frozen=True, kw_only=True)
class SentencePairs:
    """Neighbouring sentences of C documents, P pairs in all, of document i ``counts[i]``: T token ids, flat."""

    values: npt.NDArray[np.int32]  # [T]
    offsets: npt.NDArray[np.int64]  # [P + 1]
    segment_b_start: npt.NDArray[np.int32]  # [P], place of the second sentence's first token
    counts: npt.NDArray[np.int64]  # [C]
    char_start: npt.NDArray[np.int64]  # [P], of the second sentence in its document
    char_end: npt.NDArray[np.int64]  # [P]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What stands around each window of a text, and which of its tokens may stand in one: ``begin`` to ``stop``."""

    prefix: Ids
    words: Ids  # like prefix
    suffix: Ids
    begin: int
    stop: int
    room: int  # tokens of a window
    skipped: int = 0  # characters that stand before the text
    is_cut: bool = False  # whether tokens before or behind are left out for good


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document's chunks: token ids of each, their words and places where they are asked for."""

    rows: list[Ids]
    words: list[Ids]
    chars: list[Ids]
    segment_b_start: int
    truncated: bool
    spans: Chars  # [chunks, 2], start and end of each in the text


def cut(text: str, encoding: Encoding, frame: Frame, stride: int | None, lone: Ids, asked: Asked) -> Document:
    """The chunks of one text. ``stride`` None: its beginning alone. ``lone`` stands for a chunk without any token."""
    ids = np.array(encoding.ids, np.int32)
    spans = windows(frame.stop - frame.begin, frame.room, stride or 0) + frame.begin
    truncated = frame.is_cut or (stride is None and len(spans) > 1)
    spans = spans[:1] if stride is None else spans
    rows = [np.concatenate([frame.prefix, ids[start:stop], frame.suffix]) for start, stop in spans.tolist()]
    rows = [row if len(row) else lone for row in rows]
    return Document(
        rows=rows,
        words=_framed(_next_words(encoding, frame), spans, rows, frame.words) if asked.words else [],
        chars=_framed(_places(text, encoding, frame), spans, rows, _nowhere(frame)) if asked.chars else [],
        segment_b_start=len(frame.prefix),
        truncated=truncated,
        spans=_char_spans(text, encoding, spans, frame.skipped),
    )


def word_numbers(encoding: Encoding) -> Ids:
    """Number of each token's word, -1 where it is none's."""
    return np.array([-1 if word is None else word for word in encoding.word_ids], np.int32)


def joined(documents: Sequence[Document], asked: Asked) -> TokenizedDocuments:
    """The chunks of all documents, flat."""
    rows = [row for document in documents for row in document.rows]
    num_tokens = np.array([len(row) for row in rows], np.int32)
    counts = np.array([len(document.rows) for document in documents], np.int64)
    spans = np.concatenate([np.zeros((0, 2), np.int64), *(document.spans for document in documents)])
    starts = np.array([document.segment_b_start for document in documents], np.int32)
    words, chars = ([row for one in documents for row in getattr(one, name)] for name in ("words", "chars"))
    return TokenizedDocuments(
        values=_flat(rows, 1),
        offsets=np.concatenate([[0], np.cumsum(num_tokens, dtype=np.int64)]),
        document=np.repeat(np.arange(len(documents), dtype=np.int32), counts),
        num_tokens=num_tokens,
        truncated=np.repeat(np.array([document.truncated for document in documents], bool), counts),
        chunk_index=(np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)).astype(np.int32),
        char_start=spans[:, 0].astype(np.int64),
        char_end=spans[:, 1].astype(np.int64),
        segment_b_start=np.repeat(starts, counts) if asked.are_pairs else None,
        words=_flat(words, 1) if asked.words else None,
        chars=_flat(chars, 2) if asked.chars else None,
    )


def common_prefix(ids: Ids, prompt: Ids) -> int:
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


def _next_words(encoding: Encoding, frame: Frame) -> Ids:
    """Numbers of the text's words, which go on after those of the frame."""
    numbers = word_numbers(encoding)
    return np.where(numbers < 0, numbers, numbers + frame.words.max(initial=-1) + 1).astype(np.int32)


def _places(text: str, encoding: Encoding, frame: Frame) -> Ids:
    """[tokens, 2]: start and end of each token in the text."""
    found = np.array(encoding.offsets, np.int32).reshape(-1, 2) - frame.skipped
    return np.clip(found, 0, len(text)).astype(np.int32)


def _nowhere(frame: Frame) -> Ids:
    return np.full((len(frame.prefix), 2), -1, np.int32)


def _framed(values: Ids, spans: Chars, rows: list[Ids], prefix: Ids) -> list[Ids]:
    """For each of the rows the values of its window's tokens, behind those of the prefix; -1 elsewhere."""
    framed = [np.full((len(row), *values.shape[1:]), -1, np.int32) for row in rows]
    for row, (start, stop) in zip(framed, spans.tolist(), strict=True):
        row[: len(prefix)] = prefix[: len(row)]
        row[len(prefix) : len(prefix) + stop - start] = values[start:stop]
    return framed


def _flat(rows: list[Ids], dimensions: int) -> Ids:
    return np.concatenate(rows) if rows else np.zeros((0, 2)[:dimensions], np.int32)
