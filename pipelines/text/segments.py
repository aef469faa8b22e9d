"""Segment pairs for next-sentence prediction and sentence order, of documents that are cut into sentences.

The rules are those of create_pretraining_data.py (Devlin et al. 2019, github.com/google-research/bert), and of ALBERT's
(Lan et al. 2020) for the order. Consecutive sentences are gathered until they are as long as a target: the room of an
instance, or (a tenth) anything from 2 tokens on. The first so many of them, drawn evenly, are segment A. The others are
segment B; or, half of the time, B is from a random place of another document and as long as the target leaves room for,
and the others are given back. Both are cut to the room, a token at a time from the longer one, at its front or back.

Where it differs, it is on purpose:
- A random B is never of A's own document (nor of a copy), which the published code allows after ten draws. Documents
  are told by their keys; where all have one key, no pair is random.
- One sentence that is as long as the target takes the next one with it. The published code pairs it with a random B
  always, so that a long sentence tells the label. The last sentence of a document, where it is left over alone, is no
  instance for the same reason.
- The target is drawn for each instance, not for each document: a short target makes many instances of a document, so
  that far more than a tenth of them were short.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.text.document_keys import Keys
from pipelines.text.draws import below, uniform
from pipelines.text.ranges import Ranges, counted, ends_of

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SHORT, LENGTH, SPLIT, LABEL, DOCUMENT, START, FRONT = range(7)
"""What a draw is for."""
LEAST = 2
"""Tokens of the shortest target."""


@dataclass(frozen=True, kw_only=True)
class TakenDocuments:
    """D documents to make instances of, in whichever order; one that is taken several times is there several times."""

    sentences: Ranges  # [D, 2], in the flat sentences of a slice; none is empty
    keys: Keys  # [D]
    copies: Numbers  # [D], 0, 1, ... of those that are taken several times

    @property
    def num_sentences(self) -> Numbers:
        """Sentences of each, [D]."""
        return self.sentences[:, 1] - self.sentences[:, 0]


@dataclass(frozen=True, kw_only=True)
class SegmentPairs:
    """n pairs, in order of documents and sentences. Segments are ranges of tokens in the flat tokens of a slice."""

    document: Numbers  # [n], index among the documents: the one that the chunk of sentences is of
    first: Ranges  # [n, 2], segment A
    second: Ranges  # [n, 2], segment B
    labels: npt.NDArray[np.int8]  # [n], 1: B is random, or comes before A
    is_short: Flags  # [n], whether the target was less than the room
    num_left_over: int
    """Last sentences of documents that are in no pair as A or an honest B."""
    num_without_other: int
    """Pairs that would have been random, but there was no other document."""


@dataclass(frozen=True)
class _Chunks:
    """The chunks that documents are cut into: sentence numbers, and what was drawn for them."""

    document: Numbers
    first: Numbers  # A is first .. split, an honest B split .. stop
    split: Numbers
    stop: Numbers
    position: Numbers  # of the chunk's first sentence in its document: the key of its draws
    target: Numbers
    labels: Flags
    num_left_over: int


def segment_pairs(
    offsets: Numbers, documents: TakenDocuments, *, room: int, short_probability: float, seed: int, swap: bool = False
) -> SegmentPairs:
    """Pairs of segments, of at most ``room`` (4 or more) tokens together.

    ``offsets`` [S + 1] are where the sentences begin in the flat tokens; none is empty. With ``swap`` B is what follows
    A, and half of the pairs are the other way round (label 1); without, half of them have a random B. What is drawn for
    a document depends on its key and copy alone, which other document a random B is from on the others' keys too, but
    on no order.
    """
    others = _Others(documents)
    chunks = _chunks(offsets, documents, room, short_probability, seed, None if swap else others.are_there)
    first = offsets[np.stack([chunks.first, chunks.split], axis=1)]
    second = offsets[np.stack([chunks.split, chunks.stop], axis=1)]
    labels = chunks.labels if swap else chunks.labels & others.are_there[chunks.document]
    keys = (documents.keys[chunks.document], documents.copies[chunks.document], chunks.position)
    if swap:
        first, second = (np.where(labels[:, None], *sides) for sides in ((second, first), (first, second)))
    else:
        drawn = tuple(key[labels] for key in keys)
        wanted = (chunks.target - (first[:, 1] - first[:, 0]))[labels]
        second[labels] = others.segments(offsets, chunks.document[labels], wanted, seed, drawn)
    first, second = _truncated(first, second, room, seed, keys)
    return SegmentPairs(
        document=chunks.document,
        first=first,
        second=second,
        labels=labels.astype(np.int8),
        is_short=chunks.target < room,
        num_left_over=chunks.num_left_over,
        num_without_other=int(chunks.labels.sum() - labels.sum()),
    )


def _chunks(
    offsets: Numbers, documents: TakenDocuments, room: int, short_probability: float, seed: int, others: Flags | None
) -> _Chunks:
    """Walk through the documents. What may be drawn at each sentence is drawn at once, for a chunk that begins there.

    ``others``: whether a document has another for a random B, and so gives back what is not A; None: none gives back.
    """
    counts = documents.num_sentences
    position = counted(counts)
    keys = (np.repeat(documents.keys, counts), np.repeat(documents.copies, counts), position)
    short = uniform(seed, SHORT, *keys) < short_probability
    target = np.where(short, LEAST + below(room - LEAST + 1, seed, LENGTH, *keys), room)
    labels = uniform(seed, LABEL, *keys) < 0.5
    gives_back = labels & np.repeat(others, counts) if others is not None else np.zeros_like(labels)
    tokens, splits = offsets.tolist(), uniform(seed, SPLIT, *keys).tolist()
    found: list[tuple[int, int, int, int, int]] = []
    num_left_over = 0
    ahead = ends_of(counts).tolist()
    for number, (first, stop) in enumerate(documents.sentences.tolist()):
        drawn = slice(ahead[number], ahead[number + 1])
        walk = _walk(tokens, first, stop, target[drawn].tolist(), splits[drawn], gives_back[drawn].tolist())
        chunks = list(walk)
        found += [(number, begin, split, last, ahead[number] + begin - first) for begin, split, last, _ in chunks]
        num_left_over += stop - (chunks[-1][-1] if chunks else first)
    document, begin, split, last, at = np.array(found, np.int64).reshape(-1, 5).T
    return _Chunks(document, begin, split, last, position[at], target[at], labels[at], num_left_over)


def _walk(
    tokens: list[int], first: int, stop: int, target: list[int], splits: list[float], gives_back: list[bool]
) -> Iterator[tuple[int, int, int, int]]:
    """Chunks of one document's sentences: first, split and stop of each, and where the next one begins."""
    begin = first
    while stop - begin >= 2:
        at = begin - first
        last = min(max(bisect_left(tokens, tokens[begin] + target[at], begin), begin + 2), stop)
        split = begin + 1 + int(splits[at] * (last - begin - 1))
        end = split if gives_back[at] else last
        yield begin, split, last, end
        begin = end


class _Others:
    """The documents in order of their keys, so that those of another key are two ranges of it."""

    def __init__(self, documents: TakenDocuments) -> None:
        self._documents = documents
        self._order = np.lexsort((documents.copies, documents.keys))
        keys = documents.keys[self._order]
        self._first, self._stop = (np.searchsorted(keys, documents.keys, side) for side in ("left", "right"))
        self.are_there: Flags = self._stop - self._first < len(keys)
        """[D], whether there is a document of another key."""

    def segments(
        self, offsets: Numbers, document: Numbers, wanted: Numbers, seed: int, keys: tuple[Keys | Numbers, ...]
    ) -> Ranges:
        """Ranges of tokens, about as many as are wanted, each of another document than these: whole sentences."""
        first, stop = self._first[document], self._stop[document]
        pick = below(len(self._order) - (stop - first), seed, DOCUMENT, *keys) if len(document) else document
        other = self._order[pick + np.where(pick >= first, stop - first, 0)]
        begin, end = self._documents.sentences[other].T
        begin = begin + below(end - begin, seed, START, *keys)
        last = np.searchsorted(offsets, offsets[begin] + np.maximum(wanted, 1))
        return offsets[np.stack([begin, np.minimum(last, end)], axis=1)]


def _truncated(
    first: Ranges, second: Ranges, room: int, seed: int, keys: tuple[Keys | Numbers, ...]
) -> tuple[Ranges, Ranges]:
    """Both segments, cut as if one token after another were taken from the longer, or else from the second."""
    num_first, num_second = (side[:, 1] - side[:, 0] for side in (first, second))
    kept_first = np.maximum(np.minimum(num_first, (room + 1) // 2), room - num_second)
    kept_first = np.minimum(kept_first, num_first)
    kept_second = np.minimum(num_second, room - kept_first)
    return (
        _cut(first, num_first - kept_first, seed, 0, keys),
        _cut(second, num_second - kept_second, seed, 1, keys),
    )


def _cut(ranges: Ranges, excess: Numbers, seed: int, side: int, keys: tuple[Keys | Numbers, ...]) -> Ranges:
    """The ranges less so many tokens each, of which each is the first or the last one by the toss of a coin."""
    toss = counted(excess)
    heads = uniform(seed, FRONT, side, *(np.repeat(key, excess) for key in keys), toss) < 0.5
    front = np.bincount(np.repeat(np.arange(len(excess)), excess), weights=heads, minlength=len(excess)).astype(int)
    return np.stack([ranges[:, 0] + front, ranges[:, 1] - (excess - front)], axis=1)
