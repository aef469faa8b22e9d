"""As much text as there is room for: instances without a second segment, of documents that run on into each other.

Sentences stay whole as in RoBERTa's FULL-SENTENCES (Liu et al. 2019, section 4.2), but for one that is longer than the
room; or instances end where there is no more room, as T5's and GPT's, so that none is shorter. Between two documents
stands a separator.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.text.draws import bits
from pipelines.text.ranges import Ranges, counted, ends_of, places
from pipelines.text.segments import Numbers, TakenDocuments

ORDER = 7
"""What the draw of the documents' order is for, beside those of ``segments``."""


@dataclass(frozen=True, kw_only=True)
class FullLength:
    """n instances of one segment each, as ranges of tokens in the flat tokens of a slice, laid end to end."""

    document: Numbers  # [n], index among the documents: the one that the first sentence is of
    ranges: Ranges  # [r, 2]; a separator is [T, T + 1], where T is the number of all tokens
    offsets: Numbers  # [n + 1], where each instance begins among the ranges


def full_length(
    offsets: Numbers,
    documents: TakenDocuments,
    *,
    room: int,
    seed: int,
    num_separators: int,
    at_the_end: bool,
    whole: bool = True,
) -> FullLength:
    """Instances of at most ``room`` tokens, the documents in an order drawn by their keys, copy after copy.

    ``offsets`` [S + 1] are where the sentences begin in the flat tokens; none is empty. Sentences stay ``whole``, or
    not. After a document stands a separator of ``num_separators`` (0 or 1) tokens where there is room for it, at the
    end of an instance only with ``at_the_end``.
    """
    some = np.flatnonzero(documents.num_sentences)
    keys, copies = documents.keys[some], documents.copies[some]
    order = some[np.lexsort((bits(seed, ORDER, keys, copies), copies))]
    cut = _whole if whole else _filled
    number, ranges, bounds = cut(offsets, documents.sentences[order], room, num_separators, at_the_end)
    return FullLength(document=order[number], ranges=ranges, offsets=bounds)


def _whole(
    offsets: Numbers, taken: Ranges, room: int, num_separators: int, at_the_end: bool
) -> tuple[Numbers, Ranges, Numbers]:
    """Documents, ranges and offsets of instances that end with a sentence."""
    pieces, sentence = _pieces(offsets, places(taken), room)
    document = np.repeat(np.arange(len(taken)), taken[:, 1] - taken[:, 0])[sentence]
    ends = np.diff(document, append=-1) != 0
    lengths = pieces[:, 1] - pieces[:, 0] + num_separators * ends
    has_separator = ends & bool(num_separators)
    bounds, is_full = _greedy(ends_of(lengths), has_separator, room)
    has_separator[bounds[1:] - 1] &= ~is_full & at_the_end
    total = int(offsets[-1])
    separators = np.where(has_separator[:, None], [total, total + 1], total)
    ranges = np.stack([pieces, separators], axis=1).reshape(-1, 2)
    return document[bounds[:-1]], ranges, 2 * bounds


def _filled(
    offsets: Numbers, taken: Ranges, room: int, num_separators: int, at_the_end: bool
) -> tuple[Numbers, Ranges, Numbers]:
    """Documents, ranges and offsets of instances that end where there is no more room.

    All documents, each with its separator, are one stream, which is cut at every multiple of the room.
    """
    total = int(offsets[-1])
    separators = np.broadcast_to([total, total + num_separators], (len(taken), 2))
    parts = np.stack([offsets[taken], separators], axis=1).reshape(-1, 2)
    begins = ends_of(parts[:, 1] - parts[:, 0])
    counts = -(-begins[1:] // room) - begins[:-1] // room
    counts[begins[1:] == begins[:-1]] = 0
    part = np.repeat(np.arange(len(parts)), counts)
    number = (begins[:-1] // room)[part] + counted(counts)
    low, high = np.maximum(number * room, begins[part]), np.minimum((number + 1) * room, begins[part + 1])
    is_at_edge = (low % room == 0) | (~np.bool_(at_the_end) & ((high % room == 0) | (high == begins[-1])))
    keep = (part % 2 == 0) | ~is_at_edge
    part, number, low, high = part[keep], number[keep], low[keep], high[keep]
    ranges = np.stack([low, high], axis=1) + (parts[part, 0] - begins[part])[:, None]
    first = np.flatnonzero(np.diff(number, prepend=-1))
    return (part // 2)[first], ranges, np.append(first, len(part))


def _pieces(offsets: Numbers, sentences: Numbers, room: int) -> tuple[Ranges, Numbers]:
    """Ranges of tokens, one a sentence, or several of one that is too long; and which of the sentences each is of."""
    begin, end = offsets[sentences], offsets[sentences + 1]
    counts = -((begin - end) // room)
    number = counted(counts)
    sentence = np.repeat(np.arange(len(sentences)), counts)
    begin = begin[sentence] + room * number
    return np.stack([begin, np.minimum(begin + room, end[sentence])], axis=1), sentence


def _greedy(ends: Numbers, may_drop: npt.NDArray[np.bool_], room: int) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Where instances begin among pieces that end at ``ends``, and whether the last separator of each has no room."""
    told, last, bounds, is_full = ends.tolist(), len(may_drop), [0], []
    while bounds[-1] < last:
        begin = bounds[-1]
        stop = bisect_right(told, told[begin] + room) - 1
        dropped = stop < last and bool(may_drop[stop]) and told[stop + 1] - 1 - told[begin] <= room
        bounds.append(stop + dropped)
        is_full.append(dropped)
    return np.array(bounds, np.int64), np.array(is_full, bool)
