"""Calibration: from the vectors of a sample the ranges of int8, and what quantizing costs. Pure arithmetic.

One half of the sample's documents sets the ranges. The other half, which they have not seen, is quantized by them and
held against its float32 vectors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import ShardError
from pipelines.model.fidelity import Fidelity, fidelity
from pipelines.model.quantize import Floats, Quantizer, ranges_from_text, ranges_of, ranges_to_text
from pipelines.spec import EmbedSpec, OutputDtype

FORMAT = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibrated:
    """How the vectors of an output are quantized, and what that was found to cost."""

    quantizer: Quantizer
    dim: int
    seed: int
    quantile: float
    num_documents: int
    """Documents of the sample."""
    num_calibrating: int
    """Vectors that set the ranges; of a document cut into chunks there are several."""
    num_held_out: int
    """Vectors that the cost was measured on."""
    clipped_share: float
    """Of their numbers, how many were outside of the ranges."""
    float_query: Fidelity
    """The query in float32, the vectors found restored to numbers."""
    code_query: Fidelity
    """Codes compared with codes as they are: by Hamming distance for binary, by the cosine of the bytes for int8."""

    @property
    def output_dtype(self) -> OutputDtype:
        """int8 or binary."""
        return self.quantizer.dtype

    def facts(self) -> dict[str, Any]:
        """Everything but the ranges, as JSON values."""
        told = {name: getattr(self, name) for name in ("output_dtype", *PLAIN)}
        return told | {name: asdict(getattr(self, name)) for name in QUERIES}

    def to_json(self) -> bytes:
        """Content of calibration.json."""
        told = {"format": FORMAT, **self.facts(), "ranges": ranges_to_text(self.quantizer.ranges)}
        return json.dumps(told, indent=2).encode()

    @classmethod
    def from_json(cls, data: bytes | str) -> Calibrated:
        """What ``to_json`` gave. Raises ValueError where it is not that."""
        told = json.loads(data)
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise ValueError(f"it is not of format {FORMAT}, which this version of Manta reads")
        try:
            return cls.from_facts(told, told["ranges"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"a field is missing or wrong: {error}") from None

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], ranges: str) -> Calibrated:
        """What ``facts`` gave, and the ranges as text."""
        quantizer = Quantizer(facts["output_dtype"], ranges_from_text(ranges))
        told: dict[str, Any] = {name: facts[name] for name in PLAIN}
        told |= {name: Fidelity(**facts[name]) for name in QUERIES}
        return cls(quantizer=quantizer, **told)


PLAIN = ("dim", "seed", "quantile", "num_documents", "num_calibrating", "num_held_out", "clipped_share")
QUERIES = ("float_query", "code_query")


def calibrate(vectors: Floats, documents: npt.NDArray[np.int64], spec: EmbedSpec) -> Calibrated:
    """What a sample tells. ``vectors`` is float32[n, dim], ``documents`` int64[n], which document each is of.

    ShardError where int8 has no vector to take ranges from.
    """
    asked = spec.calibration
    rng = np.random.Generator(np.random.Philox(asked.seed))
    names = rng.permutation(np.unique(documents))
    first = np.isin(documents, names[: (len(names) + 1) // 2])
    ranges = np.zeros((2, 0), np.float32)
    if spec.output_dtype == "int8":
        if not first.any():
            raise ShardError(
                f"none of the documents sampled (at most {asked.num_documents}) gives a vector, so that int8 has no "
                "ranges: check --spec.text, or take more of them by --spec.calibration.num_documents"
            )
        ranges = ranges_of(vectors[first], asked.quantile)
    quantizer, held_out = Quantizer(spec.output_dtype, ranges), vectors[~first]
    codes = quantizer.quantize(held_out)
    restored = quantizer.restore(codes)
    compared = restored if spec.output_dtype == "binary" else codes.astype(np.float32)
    return Calibrated(
        quantizer=quantizer,
        dim=vectors.shape[1],
        seed=asked.seed,
        quantile=asked.quantile,
        num_documents=len(names),
        num_calibrating=int(first.sum()),
        num_held_out=len(held_out),
        clipped_share=quantizer.num_clipped(held_out) / max(1, held_out.size),
        float_query=fidelity(held_out, held_out, restored),
        code_query=fidelity(held_out, compared, compared),
    )
