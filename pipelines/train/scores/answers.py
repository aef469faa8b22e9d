"""Answers to questions: the best span of each window, the best of a question's windows, and SQuAD's two metrics.

A question's answer is the span, over all its windows, whose first and last token have the greatest sum of logits
(Devlin et al. 2018, arXiv:1810.04805, section 4.3). It has none where the first token, which stands for that, has a
greater sum in every window: the least of those sums counts, that of the window most in favour of an answer.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.text.ragged import Column, Ragged
from pipelines.text.spans import best_spans

Ints = npt.NDArray[np.int64]

MAX_ANSWER_TOKENS = 30
COLUMNS = ("char_starts", "char_ends", "context", "answers")
"""Of examples (``pipelines.examples``), beside the id column."""
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """What there is to know of n windows of T tokens beside their token ids."""

    char_starts: npt.NDArray[Any]  # [T], where a token of the context begins in it, -1 for other tokens
    char_ends: npt.NDArray[Any]  # [T]
    contexts: Sequence[str]  # n
    answers: Sequence[Sequence[str]]  # n, those that are right; none: the context has no answer
    questions: Sequence[Any]  # n, equal for windows of one question

    @classmethod
    def of(cls, beside: Mapping[str, Column], id_column: str) -> Windows:
        """Those of instances that have ``COLUMNS`` and the id column beside."""
        starts, ends, answers = (beside[name] for name in ("char_starts", "char_ends", "answers"))
        assert isinstance(starts, Ragged)
        assert isinstance(ends, Ragged)
        assert isinstance(answers, Ragged)
        return cls(
            char_starts=starts.values,
            char_ends=ends.values,
            contexts=np.asarray(beside["context"]).tolist(),
            answers=[answers[row].tolist() for row in range(len(answers))],
            questions=np.asarray(beside[id_column]).tolist(),
        )


def best_answers(
    logits_t2: npt.NDArray[Any], offsets: Ints, windows: Windows, max_tokens: int = MAX_ANSWER_TOKENS
) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    """float32[n, 2], sums of logits of each window's best span and of no answer; and the span's text, object[n].

    A window without a token of the context has minus infinity and "".
    """
    logits = np.asarray(logits_t2, np.float64)
    own = np.asarray(windows.char_starts) >= 0
    start_t, end_t = (_powers(logits[:, side], offsets, own) for side in (0, 1))
    first, last, _ = best_spans(start_t, end_t, offsets, own, max_tokens)
    found = first >= 0
    best = np.where(found, logits[first, 0] + logits[last, 1], -np.inf)
    none = logits[offsets[:-1]].sum(-1)
    chars = zip(windows.char_starts[first].tolist(), windows.char_ends[last].tolist(), strict=True)
    texts = np.empty(len(first), object)
    texts[:] = [
        context[start:end] if fits else ""
        for context, (start, end), fits in zip(windows.contexts, chars, found.tolist(), strict=True)
    ]
    return np.stack([best, none], axis=1).astype(np.float32), texts


def _powers(logits_t: npt.NDArray[Any], offsets: Ints, own: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Numbers whose products are ordered, within a window, as sums of the logits are."""
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    top = np.full(len(offsets) - 1, -np.inf)
    np.maximum.at(top, owners[own], logits_t[own])
    powers = np.zeros(len(logits_t))
    powers[own] = np.exp(logits_t[own] - top[owners[own]])
    return powers


@dataclass(frozen=True, kw_only=True)
class Answered:
    """Of each question, in the order in which they first come: what was told, and how right it is."""

    answers: list[str]
    exact: list[float]
    f1: list[float]
    has_answer: list[bool]


def answered(scores_n2: npt.NDArray[Any], answers: Any, right: Any, questions: Any) -> Answered:
    """The answers of windows joined to those of questions, "" where a question has none, and held against the right.

    ``right`` [n] has lists of answers, the same for all windows of a question.
    """
    windows: dict[Any, list[int]] = {}
    for place, question in enumerate(questions):
        windows.setdefault(question, []).append(place)
    told, exact, f1, has_answer = [], [], [], []
    for places in windows.values():
        best = max(places, key=lambda place: scores_n2[place, 0])
        none = min(scores_n2[place, 1] for place in places)
        answer = "" if none > scores_n2[best, 0] else str(answers[best])
        golds = list(right[places[0]]) or [""]
        told.append(answer)
        exact.append(max(exact_match(answer, gold) for gold in golds))
        f1.append(max(token_f1(answer, gold) for gold in golds))
        has_answer.append(golds != [""])
    return Answered(answers=told, exact=exact, f1=f1, has_answer=has_answer)


def normalized(answer: str) -> str:
    """Lower case, without punctuation and articles, single spaces: as SQuAD's evaluation compares answers
    (Rajpurkar et al. 2016, arXiv:1606.05250; evaluate-v2.0.py)."""
    return " ".join(ARTICLES.sub(" ", answer.lower().translate(PUNCTUATION)).split())


def exact_match(answer: str, gold: str) -> float:
    """1 where two answers are the same, normalized."""
    return float(normalized(answer) == normalized(gold))


def token_f1(answer: str, gold: str) -> float:
    """Harmonic mean of the shares of the words of each that the other has; of no answer: whether both are none."""
    ours, theirs = normalized(answer).split(), normalized(gold).split()
    if not ours or not theirs:
        return float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs))
