"""Whole sentences, as many as there is room for: instances without a second segment.

As RoBERTa's FULL-SENTENCES (Liu et al. 2019, section 4.2): sentences follow each other also where one document ends and
another begins, with a separator between the two. A sentence that is longer than the room is cut into pieces.
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
    offsets: Numbers, documents: TakenDocuments, *, room: int, seed: int, num_separators: int, at_the_end: bool
) -> FullLength:
    """Instances of at most ``room`` tokens, the documents in an order drawn by their keys, copy after copy.

    ``offsets`` [S + 1] are where the sentences begin in the flat tokens; none is empty. After a document stands a
    separator of ``num_separators`` (0 or 1) tokens where there is room for it, at the end of an instance only with
    ``at_the_end``.
    """
    order = np.lexsort((bits(seed, ORDER, documents.keys, documents.copies), documents.copies))
    taken = documents.sentences[order]
    pieces, sentence = _pieces(offsets, places(taken), room)
    ends = np.zeros(len(pieces), bool)
    document = np.repeat(order, taken[:, 1] - taken[:, 0])[sentence]
    copies = np.repeat(np.arange(len(order)), taken[:, 1] - taken[:, 0])[sentence]
    ends[:-1], ends[-1:] = copies[1:] != copies[:-1], True
    lengths = pieces[:, 1] - pieces[:, 0] + num_separators * ends
    bounds, is_full = _greedy(ends_of(lengths), ends & bool(num_separators), room)
    has_separator = ends & bool(num_separators)
    last = bounds[1:] - 1
    has_separator[last] &= ~is_full & at_the_end
    total = int(offsets[-1])
    separators = np.where(has_separator[:, None], [total, total + 1], total)
    ranges = np.stack([pieces, separators], axis=1).reshape(-1, 2)
    return FullLength(document=document[bounds[:-1]], ranges=ranges, offsets=2 * bounds)


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
