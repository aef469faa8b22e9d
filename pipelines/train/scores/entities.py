"""Entities in tagged text, by the rules of conlleval (Tjong Kim Sang and Buchholz 2000), which are seqeval's too.

Tags are IOB2 (B-PER, I-PER, O), or IO (a tag without a prefix counts as inside). Neighbours of one type are an entity,
and a B- begins a new one; an I- after anything else begins one as well. An entity is right where its first word, its
last word and its type are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
OUTSIDE = "O"


@dataclass(frozen=True, kw_only=True)
class Found:
    """Entities of texts laid end to end: places of the first and of the last word, and numbers of the types."""

    first: Ints
    last: Ints
    kind: Ints


@dataclass(frozen=True, kw_only=True)
class Tags:
    """What the numbers of tags stand for: the types, sorted, and for each tag its type (-1: O) and whether it is B-."""

    types: tuple[str, ...]
    kind: Ints
    begins: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, labels: Sequence[str]) -> Tags:
        """Those of these tags, in their order."""
        names = [label[2:] if label.startswith(("B-", "I-")) else label for label in labels]
        types = tuple(sorted(set(names) - {OUTSIDE}))
        kind = [-1 if label == OUTSIDE else types.index(name) for label, name in zip(labels, names, strict=True)]
        return cls(types=types, kind=np.array(kind), begins=np.array([label.startswith("B-") for label in labels]))


def entities(tags_m: npt.NDArray[Any], counts_n: Ints, tags: Tags) -> Found:
    """The entities of n texts with so many words each; M words in all, the tag's number of each."""
    kind, begins = tags.kind[tags_m], tags.begins[tags_m].copy()
    begins[1:] |= kind[1:] != kind[:-1]
    begins[(np.cumsum(counts_n) - counts_n)[counts_n > 0]] = True
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(kind))[: len(first)] - 1
    inside = kind[first] >= 0
    return Found(first=first[inside], last=last[inside], kind=kind[first[inside]])


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Entities by type: told and right, told, right. int64[types]."""

    both: Ints
    told: Ints
    right: Ints


def counted(told: Found, right: Found, num_types: int) -> Counts:
    """How many entities of each type are the same in both."""
    _, ours, theirs = np.intersect1d(told.first, right.first, assume_unique=True, return_indices=True)
    same = (told.last[ours] == right.last[theirs]) & (told.kind[ours] == right.kind[theirs])

    def count(kind: Ints) -> Ints:
        return np.bincount(kind, minlength=num_types)

    return Counts(both=count(told.kind[ours][same]), told=count(told.kind), right=count(right.kind))


def entity_counts(told_m: npt.NDArray[Any], right_m: npt.NDArray[Any], counts_n: Ints, tags: Tags) -> Counts:
    """The same from numbers of tags."""
    return counted(entities(told_m, counts_n, tags), entities(right_m, counts_n, tags), len(tags.types))


def entity_scores(
    told_m: npt.NDArray[Any], right_m: npt.NDArray[Any], counts_n: Ints, labels: Sequence[str]
) -> dict[str, float]:
    """Metrics of token_classification: f1, precision and recall of entities, and the share of tokens that are right.

    NaN: f1 where there is no entity told or right, precision where none is told, recall where none is right.
    """
    counts = entity_counts(told_m, right_m, counts_n, Tags.of(labels))
    both, told, right = (int(numbers.sum()) for numbers in (counts.both, counts.told, counts.right))
    return {
        "f1": _share(2 * both, told + right),
        "precision": _share(both, told),
        "recall": _share(both, right),
        "token_accuracy": _share(int((told_m == right_m).sum()), len(right_m)),
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
