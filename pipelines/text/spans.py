"""Logits of an answer's start and end to the likeliest answer in the text.

The method is that of the QuestionAnsweringPipeline that transformers had up to version 4: start and end each get a
softmax over the tokens of the text and [CLS], an answer's probability is the product of its two, and where [CLS] is
both, that is the probability that the text holds no answer (Devlin et al. 2018, arXiv:1810.04805, section 4.3; models
that were trained without such questions say little by it). Answers are widened to whole words.

Shapes: T tokens of C chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.text.probabilities import Doubles, Floats, softmax_in_chunks

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The likeliest answer in each of C chunks. Without a token that it could be, -1, -1 and NaN."""

    char_start: Ints  # [C]
    char_end: Ints  # [C]
    probability: Floats  # [C]
    no_answer: Floats  # [C], NaN where the chunk has no [CLS]


def find_answers(
    logits_t2: npt.NDArray[Any],
    offsets: npt.NDArray[Any],
    chars: npt.NDArray[Any],
    words: npt.NDArray[Any] | None,
    is_cls: npt.NDArray[np.bool_],
    max_answer_tokens: int,
) -> Answers:
    """The likeliest answer of at most so many tokens in each chunk.

    ``chars`` [T, 2] are start and end of each token in the text that is asked; negative where it is none of that
    text's, which is no part of an answer. ``words`` [T] numbers the words, None: each token is one. ``is_cls`` bool[T]
    says which token stands for no answer.
    """
    own = chars[:, 0] >= 0
    start_t, end_t = (softmax_in_chunks(logits_t2[:, side], offsets, own | is_cls) for side in (0, 1))
    no_answer = np.full(len(offsets) - 1, np.nan)
    places = np.flatnonzero(is_cls)
    no_answer[np.searchsorted(offsets, places, side="right") - 1] = (start_t * end_t)[places]
    first, last, probability = best_spans(start_t, end_t, offsets, own & ~is_cls, max_answer_tokens)
    word_first, word_last = _word_ends(offsets, own, words)
    fits = first >= 0
    return Answers(
        char_start=np.where(fits, chars[word_first[first], 0], -1).astype(np.int64),
        char_end=np.where(fits, chars[word_last[last], 1], -1).astype(np.int64),
        probability=probability.astype(np.float32),
        no_answer=no_answer.astype(np.float32),
    )


def best_spans(
    start_t: Doubles, end_t: Doubles, offsets: npt.NDArray[Any], allowed: npt.NDArray[np.bool_], max_tokens: int
) -> tuple[Ints, Ints, Doubles]:
    """First token, last token and score of each chunk's best span: [C], -1, -1 and NaN where nothing is allowed.

    A span has at most ``max_tokens`` tokens, its ends are allowed, and its score is the product of theirs; of equals
    the first counts, then the shortest.
    """
    count = len(offsets) - 1
    owners = np.repeat(np.arange(count), np.diff(offsets))
    scores, widths = np.where(allowed, start_t * end_t, -1.0), np.zeros(len(owners), np.int64)
    for width in range(1, min(max_tokens, int(np.diff(offsets).max(initial=0)))):
        fits = allowed[:-width] & allowed[width:] & (owners[:-width] == owners[width:])
        wider = np.where(fits, start_t[:-width] * end_t[width:], -1.0)
        better = wider > scores[:-width]
        scores[:-width][better], widths[:-width][better] = wider[better], width
    best = np.full(count, -1.0)
    with np.errstate(invalid="ignore"):  # NaN, in a chunk that failed
        np.maximum.at(best, owners, scores)
    places = np.flatnonzero(allowed & (scores == best[owners]))
    chunks, index = np.unique(owners[places], return_index=True)
    first = np.full(count, -1)
    first[chunks] = places[index]
    last = np.where(first >= 0, first + np.append(widths, 0)[first], -1)
    return first, last, np.where(first >= 0, best, np.nan)


def _word_ends(
    offsets: npt.NDArray[Any], own: npt.NDArray[np.bool_], words: npt.NDArray[Any] | None
) -> tuple[Ints, Ints]:
    """For each token the first and the last token of its word, in its chunk and in the text that is asked."""
    places = np.arange(len(own))
    if words is None:
        return places, places
    begins = np.ones(len(own), bool)
    begins[1:] = (words[1:] != words[:-1]) | (own[1:] != own[:-1])
    begins[offsets[:-1][np.diff(offsets) > 0]] = True
    first = np.flatnonzero(begins)
    number = np.cumsum(begins) - 1
    return first[number], (np.append(first[1:], len(own)) - 1)[number]
