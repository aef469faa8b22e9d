"""Vectors as codes of a byte or of a bit a number, and back. Pure arithmetic.

int8 quantizes each dimension between a least and a greatest number, in the codes that ``quantize_embeddings`` of
sentence-transformers gives for the same ranges: 255 steps between the two, code = floor((x - least) / step) - 128,
clipped to -128 .. 127. A code is restored to the middle of its bucket, so at most half a step off.

The ranges are the extremes of a sample unless a quantile is asked for. What lies beyond a range is clipped, and for
numbers that are about normal that costs more than wider buckets: 8 bits err least where they reach out to 3.9 standard
deviations (Banner et al. 2019, arXiv:1810.05723), and the extremes of 512 such numbers lie at 3.0. A quantile, as
Lucene and Qdrant have it, pays for dimensions with rare outliers.

binary is the sign: 1 where x > 0, the first number in the highest bit of the first byte, as ``numpy.packbits`` has it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import SpecError
from pipelines.spec import OutputDtype

Floats = npt.NDArray[np.float32]
STEPS = 255


def ranges_of(vectors: Floats, quantile: float = 1.0) -> Floats:
    """float32[2, dim]: least and greatest number of each dimension, between which this share of a sample lies.

    ``vectors`` is float32[n, dim] with n > 0.
    """
    beyond = (1 - quantile) / 2
    return np.quantile(vectors, [beyond, 1 - beyond], axis=0).astype(np.float32)


def ranges_to_text(ranges: Floats) -> str:
    """base64 of the float32[2, dim], little-endian."""
    return base64.b64encode(ranges.astype("<f4").tobytes()).decode()


def ranges_from_text(text: str) -> Floats:
    """float32[2, dim] from what ``ranges_to_text`` gave. ValueError where it is not that."""
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4").reshape(2, -1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Quantizer:
    """What makes the numbers that are written of float32 vectors, which are finite."""

    dtype: OutputDtype
    ranges: Floats = field(default_factory=lambda: np.zeros((2, 0), np.float32))
    """float32[2, dim], for int8 alone."""

    def __post_init__(self) -> None:
        if self.dtype == "int8" and not self.ranges.size:
            raise SpecError("int8 has no ranges: calibrate on a sample of the corpus first, or write float vectors")

    def quantize(self, vectors: Floats) -> npt.NDArray[Any]:
        """float32[n, dim] as float32 or float16 [n, dim], int8[n, dim], or uint8[n, dim / 8] of bits."""
        if self.dtype == "binary":
            return np.packbits(vectors > 0, axis=1)
        if self.dtype != "int8":
            return vectors.astype(self.dtype)
        least, step = self.ranges[0], self._step
        buckets = np.floor((vectors - least) / np.where(step == 0, 1, step))
        return (np.clip(buckets, 0, STEPS) - 128).astype(np.int8)

    def restore(self, codes: npt.NDArray[Any]) -> Floats:
        """float32[n, dim] from what ``quantize`` gave: a bit becomes 1 or -1, an int8 the middle of its bucket."""
        if self.dtype == "binary":
            return np.unpackbits(codes, axis=1).astype(np.float32) * 2 - 1
        if self.dtype != "int8":
            return codes.astype(np.float32)
        return self.ranges[0] + (codes.astype(np.float32) + 128.5) * self._step

    def num_clipped(self, vectors: Floats) -> int:
        """How many numbers lie outside of their ranges, and become the nearest code."""
        if self.dtype != "int8":
            return 0
        return int(np.count_nonzero((vectors < self.ranges[0]) | (vectors > self.ranges[1])))

    @property
    def _step(self) -> Floats:
        """float32[dim]; 0 where all of the sample was one number."""
        return (self.ranges[1] - self.ranges[0]) / np.float32(STEPS)
