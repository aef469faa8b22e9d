"""Labels of tokens to entities in the text, put together as transformers' TokenClassificationPipeline does.

A label such as B-PER or I-PER is a tag with a prefix; one without is all tag (IO), and counts as inside. Neighbours of
one tag are one entity, and a B- begins a new one. O is no entity. By strategy:

- none: each token whose label is no O, with the whole label.
- simple: the tokens are put together as they are labelled.
- first, average, max: words first. All tokens of a word have the label of its first one, the likeliest by their mean
  probabilities, or the one of its surest token.

Where transformers guesses the words of a tokenizer that is no WordPiece from the spaces in the text, they are the
tokenizer's own here. Shapes: T tokens of C chunks with L labels, E entities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipelines.text.probabilities import Floats

Ints = npt.NDArray[np.int64]
Aggregation = Literal["none", "simple", "first", "average", "max"]
OUTSIDE = "O"


@dataclass(frozen=True, kw_only=True)
class Entities:
    """E entities of C chunks, in order. An entity's probability is the mean of its tokens', or of its words'."""

    counts: Ints  # [C], entities of each chunk
    labels: list[str]  # E, without B- and I- but where nothing is put together
    probabilities: Floats  # [E]
    char_start: Ints  # [E]
    char_end: Ints  # [E]


@dataclass(frozen=True)
class _Units:
    """U tokens, or words: first and last token, the label's number and its probability."""

    first: Ints
    last: Ints
    label: Ints
    probability: Floats

    @classmethod
    def of(cls, begins: npt.NDArray[np.bool_], probabilities_tl: Floats, aggregation: Aggregation) -> _Units:
        """Those that begin at these tokens."""
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(begins))[: len(first)] - 1
        if aggregation == "average":
            known = _means(probabilities_tl, first)
        elif aggregation == "max":
            surest = np.lexsort((-probabilities_tl.max(axis=1, initial=0), np.cumsum(begins)))
            known = probabilities_tl[surest[first]]
        else:
            known = probabilities_tl[first]
        return cls(first, last, known.argmax(axis=1), known.max(axis=1, initial=0))


def find_entities(
    probabilities_tl: Floats,
    offsets: npt.NDArray[Any],
    chars: npt.NDArray[Any],
    words: npt.NDArray[Any] | None,
    names: Sequence[str],
    aggregation: Aggregation = "simple",
) -> Entities:
    """The entities of C chunks.

    ``chars`` [T, 2] are start and end of each token in the text; negative where it is none of the text's own, which is
    left out. ``words`` [T] numbers the words, None: each token is one. ``names`` are the labels.
    """
    places = np.flatnonzero(chars[:, 0] >= 0)
    chunk = np.searchsorted(offsets, places, side="right") - 1
    own = chars[places]
    by_words = aggregation in ("first", "average", "max") and words is not None
    begins = _changes(chunk, words[places]) if by_words and words is not None else np.ones(len(places), bool)
    units = _Units.of(begins, probabilities_tl[places], aggregation)
    if aggregation == "none":
        first, shown = np.arange(len(units.first)), list(names)
    else:
        first, shown = _groups(units, chunk[units.first], names), [name.split("-", 1)[-1] for name in names]
    last = np.append(first[1:], len(units.first))[: len(first)] - 1
    kept = np.array([shown[label] != OUTSIDE for label in units.label[first].tolist()], bool)
    start, end = own[units.first[first], 0], own[units.last[last], 1]
    return Entities(
        counts=np.bincount(chunk[units.first[first]][kept], minlength=len(offsets) - 1),
        labels=[shown[label] for label in units.label[first][kept].tolist()],
        probabilities=_means(units.probability, first)[kept],
        char_start=start[kept].astype(np.int64),
        char_end=end[kept].astype(np.int64),
    )


def _groups(units: _Units, chunk: Ints, names: Sequence[str]) -> Ints:
    """The units that an entity, or a stretch outside, begins with."""
    tags = [name[2:] if name.startswith(("B-", "I-")) else name for name in names]
    numbers = np.array([tags.index(tag) for tag in tags])
    begin = np.array([name.startswith("B-") for name in names])
    return np.flatnonzero(_changes(chunk, numbers[units.label]) | begin[units.label])


def _changes(chunk: npt.NDArray[Any], numbers: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether each differs from the one before it, in its chunk or by its number."""
    begins = np.ones(len(chunk), bool)
    begins[1:] = (chunk[1:] != chunk[:-1]) | (numbers[1:] != numbers[:-1])
    return begins


def _means(values: npt.NDArray[Any], first: Ints) -> Floats:
    """Mean over each stretch that begins at ``first``."""
    counts = np.diff(np.append(first, len(values)))
    sums = np.add.reduceat(values, first, axis=0) if len(first) else values[:0]
    return np.asarray(sums / counts.reshape(-1, *[1] * (values.ndim - 1)), np.float32)
