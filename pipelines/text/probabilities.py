"""From a classifier's logits to probabilities, as transformers' TextClassificationPipeline makes them.

Shapes: N rows of L labels; T tokens of C chunks, of which chunk i has the tokens ``offsets[i]:offsets[i + 1]``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def softmax(logits_nl: npt.NDArray[Any]) -> Floats:
    """Probabilities of labels that exclude each other: each row sums to 1."""
    powers = np.exp(logits_nl - logits_nl.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def sigmoid(logits_nl: npt.NDArray[Any]) -> Floats:
    """Probabilities of labels that do not exclude each other."""
    return np.asarray(np.exp(-np.logaddexp(0, -logits_nl)), np.float32)


def softmax_in_chunks(logits_t: npt.NDArray[Any], offsets: npt.NDArray[Any], counted: npt.NDArray[np.bool_]) -> Doubles:
    """[T], probabilities of the counted tokens among those of their chunk; 0 of the others."""
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    top = np.full(len(offsets) - 1, -np.inf)
    with np.errstate(invalid="ignore"):  # NaN, in a chunk that failed
        np.maximum.at(top, owners[counted], logits_t[counted])
    powers = np.zeros(len(logits_t))
    powers[counted] = np.exp(logits_t[counted] - top[owners[counted]])
    sums = np.bincount(owners, weights=powers, minlength=len(top))
    return np.divide(powers, sums[owners], where=counted, out=powers)
