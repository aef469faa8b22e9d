"""Documents to sentences, and each sentence with the one after it as a pair of texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sentencex

from pipelines.model.tokenizer import SURROGATES, DocumentTokenizer
from pipelines.model.tokens import SentencePairs

Span = tuple[int, int]


WINDOW = 16_384
"""Code points that sentencex is given at once: of Chinese it takes time by the square of their number."""


def sentence_spans(text: str, language: str) -> list[Span]:
    """Start and end of each sentence in code points, space around it left out, by sentencex's rules for a language.

    A long text is gone through in windows: the last sentence of each, which may go on, is the next one's first. Only
    what is within quotation marks or brackets over the end of a window may be cut otherwise than in one go.
    """
    text = SURROGATES.sub("\ufffd", text)
    found: list[Span] = []
    begin, size = 0, WINDOW
    while begin < len(text):
        spans = _spans(text[begin : begin + size], language)
        goes_on = begin + size < len(text)
        if goes_on and len(spans) < 2:
            size *= 2  # a sentence of its own length
            continue
        found += [(begin + start, begin + stop) for start, stop in (spans[:-1] if goes_on else spans)]
        begin, size = (begin + spans[-1][0], WINDOW) if goes_on else (len(text), WINDOW)
    return found


def _spans(text: str, language: str) -> list[Span]:
    found = sentencex.get_sentence_boundaries(language, text)
    spans = [(one["start_index"], one["end_index"], one["text"]) for one in found]
    return [
        (start + len(part) - len(part.lstrip()), stop - len(part) + len(part.rstrip()))
        for start, stop, part in spans
        if part.strip()
    ]


def sentence_pairs(texts: Sequence[str], language: str, tokenizer: DocumentTokenizer) -> SentencePairs:
    """The neighbouring sentences of each text as pairs; none of a text of one sentence."""
    spans = [sentence_spans(text, language) for text in texts]
    pairs = [(text, one, two) for text, found in zip(texts, spans, strict=True) for one, two in pairwise(found)]
    firsts = [text[slice(*one)] for text, one, _ in pairs]
    tokens = tokenizer.tokenize(firsts, pairs=[text[slice(*two)] for text, _, two in pairs])
    assert tokens.segment_b_start is not None
    seconds = np.array([two for _, _, two in pairs], np.int64).reshape(-1, 2)
    return SentencePairs(
        values=tokens.values,
        offsets=tokens.offsets,
        segment_b_start=tokens.segment_b_start,
        counts=np.array([max(0, len(found) - 1) for found in spans], np.int64),
        char_start=seconds[:, 0],
        char_end=seconds[:, 1],
    )


def pairs_to_arrow(pairs: SentencePairs) -> pa.StructArray:
    """A struct of lists for each document: its pairs' token ids end to end, and four numbers a pair."""
    ends = np.concatenate([[0], np.cumsum(pairs.counts)])
    numbers = {name: getattr(pairs, name) for name in ("segment_b_start", "char_start", "char_end")}
    numbers["lengths"] = np.diff(pairs.offsets)
    lists = {name: _lists(pa.array(values, pa.int64()), ends) for name, values in numbers.items()}
    lists["ids"] = _lists(pa.array(pairs.values, pa.int32()), pairs.offsets[ends])
    return pa.StructArray.from_arrays(list(lists.values()), names=list(lists))


def pairs_from_arrow(column: pa.ChunkedArray) -> SentencePairs:
    """What ``pairs_to_arrow`` made."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    lists = {field.name: value for field, value in zip(array.type, array.flatten(), strict=True)}
    flat = {name: one.flatten().to_numpy(zero_copy_only=False) for name, one in lists.items()}
    return SentencePairs(
        values=flat["ids"],
        offsets=np.concatenate([[0], np.cumsum(flat["lengths"])]).astype(np.int64),
        segment_b_start=flat["segment_b_start"].astype(np.int32),
        counts=pc.list_value_length(lists["lengths"]).to_numpy(zero_copy_only=False).astype(np.int64),
        char_start=flat["char_start"],
        char_end=flat["char_end"],
    )


def _lists(values: pa.Array, offsets: np.ndarray) -> pa.LargeListArray:
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)
