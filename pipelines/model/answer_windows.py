"""Questions and their contexts to windows: as much of a context at a time as there is room for behind its question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.model.example_tokenizer import ExampleTokenizer
from pipelines.model.tokens import Ids
from pipelines.text.chunk import windows

Ints = npt.NDArray[np.int64]
NOWHERE = -1


@dataclass(frozen=True, kw_only=True)
class AnswerWindows:
    """n windows of T tokens in all, special ones included, of the questions in order."""

    question: Ints  # [n], which question it is of
    values: Ids  # [T]
    offsets: Ints  # [n + 1]
    segment_b_start: Ids  # [n], place of the context's first token
    char_starts: Ids  # [T], where a token begins in the context, in code points; -1: none of its
    char_ends: Ids  # [T]


def answer_windows(
    tokenizer: ExampleTokenizer, questions: Sequence[str], contexts: Sequence[str], stride: int
) -> AnswerWindows:
    """The windows of each context, which share ``stride`` tokens, and no more than half of what they hold of it.

    A question takes half the room at most; the rest of it is cut.
    """
    rows, chars, starts, counts = [], [], [], []
    for one, two in zip(tokenizer.encodings(questions), tokenizer.encodings(contexts), strict=True):
        ahead, room = _ahead(tokenizer, np.array(one.ids, np.int32))
        ids, places = np.array(two.ids, np.int32), np.array(two.offsets, np.int32).reshape(-1, 2)
        spans = windows(len(ids), room, min(stride, room // 2)).tolist()
        rows += [np.concatenate([ahead, ids[start:stop], tokenizer.special.end]) for start, stop in spans]
        before, after = (np.full((len(part), 2), NOWHERE, np.int32) for part in (ahead, tokenizer.special.end))
        chars += [np.concatenate([before, places[start:stop], after]) for start, stop in spans]
        starts += [len(ahead)] * len(spans)
        counts.append(len(spans))
    flat = np.concatenate([np.zeros((0, 2), np.int32), *chars])
    return AnswerWindows(
        question=np.repeat(np.arange(len(counts)), np.array(counts, np.int64)),
        values=np.concatenate([np.zeros(0, np.int32), *rows]),
        offsets=np.cumsum([0, *map(len, rows)], dtype=np.int64),
        segment_b_start=np.array(starts, np.int32),
        char_starts=flat[:, 0],
        char_ends=flat[:, 1],
    )


def answer_tokens(windows: AnswerWindows, begin: Ints, end: Ints) -> tuple[Ids, Ids]:
    """First and last token, counted in the window, of the answers at these places of each window's context.

    Both 0 where a window does not hold the whole answer, or there is none, which ``begin`` -1 says.
    """
    first, last = np.zeros(len(begin), np.int32), np.zeros(len(begin), np.int32)
    for window in np.flatnonzero(begin >= 0).tolist():
        own = slice(windows.offsets[window] + windows.segment_b_start[window], windows.offsets[window + 1])
        starts, ends = windows.char_starts[own], windows.char_ends[own]
        within = np.flatnonzero((starts >= 0) & (ends > begin[window]) & (starts < end[window]))
        held = starts >= 0
        is_whole = held.any() and starts[held][0] <= begin[window] and ends[held].max() >= end[window]
        if len(within) and is_whole:
            first[window], last[window] = windows.segment_b_start[window] + within[[0, -1]]
    return first, last


def _ahead(tokenizer: ExampleTokenizer, question: Ids) -> tuple[Ids, int]:
    """What stands before each window, and how many tokens of the context there is room for behind it."""
    special = tokenizer.special
    room = tokenizer.max_seqlen - special.num_pair
    kept = question[: room // 2]
    return np.concatenate([special.before, kept, special.between]), room - len(kept)
