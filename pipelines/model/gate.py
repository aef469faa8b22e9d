"""The gate: an encoder works only after its real path has agreed with the plain one.

The plain one runs a few frozen texts in float32 through transformers' eager attention on a CPU, one by one. The real
path runs them together, of very different lengths, so that packing, padding, precision and compilation all show.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipelines.errors import GateError
from pipelines.model.device import Precision
from pipelines.model.encoder import Encoded, Encoder
from pipelines.model.folder import ModelFolder
from pipelines.model.reader import Reader
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.model.tokens import TokenizedDocuments
from pipelines.predict_spec import PredictSpec
from pipelines.spec import DocumentSpec, EmbedSpec

SENTENCE = "The harbour master counted nine ships at dawn and wrote each name into the long ledger. "
TEXTS = (
    "Rain.",
    "How far is the nearest star?",
    "In 1848 the town built 3 mills, 12 bridges & one clock tower; two still stand.",
    "Straße, naïve café, Ελλάδα, Москва, 東京の天気, مرحبا بالعالم, 🙂.",
    "def area(radius):\n    return 3.14159 * radius ** 2  # square metres",
    SENTENCE * 3,
    "A letter from the north: " + SENTENCE * 8,
    SENTENCE * 40,
)
LEAST_COSINE = {"float32": 0.99999, "bfloat16": 0.995, "float16": 0.999}
"""Below it an encoder is refused. Honest networks lose a few 1e-4 in bfloat16; chunks that mix lose far more."""


class Gated(Protocol):
    """What passes the gate: an encoder, or what makes of each chunk a vector that shows whether it computes right."""

    @property
    def precision(self) -> Precision:
        """What runs."""
        ...

    @property
    def path(self) -> str:
        """packed or padded."""
        ...

    @property
    def compiled(self) -> bool:
        """Whether torch.compile is in it."""
        ...

    def encode(self, values: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], prompt_length: int = 0) -> Encoded:
        """Vectors of chunks."""
        ...

    def variant(self, *, precision: Precision | None = None, compile: bool | None = None) -> Gated:
        """The same in another precision, or without compilation."""
        ...


@dataclass(frozen=True)
class GateReference:
    """float32[n, dim]: vectors of the frozen texts by the plain path."""

    vectors: npt.NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """The vectors as numpy's .npy file."""
        file = io.BytesIO()
        np.save(file, self.vectors)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> GateReference:
        """The reference that ``to_bytes`` wrote."""
        return cls(np.load(io.BytesIO(data), allow_pickle=False))


def edition() -> str:
    """What a reference depends on beside the model and the spec: the frozen texts, and who computes it."""
    texts = hashlib.sha256("\0".join(TEXTS).encode()).hexdigest()
    return " ".join([texts, *(f"{name} {version(name)}" for name in ("torch", "transformers"))])


def tokenize_texts(tokenizer: DocumentTokenizer) -> TokenizedDocuments:
    """The frozen texts as chunks."""
    return tokenizer.tokenize(TEXTS)


def reference(folder: ModelFolder, spec: DocumentSpec) -> GateReference:
    """What the plain path gives for the frozen texts, under a resolved spec."""
    plain: Gated | None = None
    if isinstance(spec, EmbedSpec):
        plain = Encoder.plain(folder, spec)
    elif isinstance(spec, PredictSpec):
        plain = Reader.plain(folder, spec)
    assert plain is not None
    tokenizer = DocumentTokenizer(folder, spec)
    return GateReference(one_by_one(plain, tokenize_texts(tokenizer), tokenizer.prompt_length))


def one_by_one(encoder: Gated, tokens: TokenizedDocuments, prompt_length: int) -> npt.NDArray[np.float32]:
    """float32[n, dim], each chunk in a forward pass of its own."""
    vectors = [
        encoder.encode(tokens.values[start:stop], np.array([0, stop - start]), prompt_length).vectors
        for start, stop in zip(tokens.offsets[:-1].tolist(), tokens.offsets[1:].tolist(), strict=True)
    ]
    return np.concatenate(vectors)


def check(encoder: Gated, tokenizer: DocumentTokenizer, reference: GateReference) -> float:
    """The worst cosine of the encoder's real path with the reference.

    GateError where it is too low, naming what is to blame: the path is run again with one thing made plain at a time.
    """
    tokens = tokenize_texts(tokenizer)
    found = encoder.encode(tokens.values, tokens.offsets, tokenizer.prompt_length).vectors
    worst = worst_cosine(found, reference.vectors)
    least = LEAST_COSINE[encoder.precision]
    if not worst >= least:
        culprit, remedy = _culprit(encoder, tokens, tokenizer.prompt_length, reference)
        raise GateError(
            f"{culprit} makes vectors that agree with the plain float32 path to {worst:.5f} only "
            f"(cosine; {least} is asked for in {encoder.precision}): {remedy}"
        )
    return worst


def worst_cosine(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """Least cosine of any pair of rows; NaN where a vector is not finite."""
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return float(np.min(np.sum(found * expected, axis=1) / np.maximum(lengths, 1e-12)))


def _culprit(
    encoder: Gated, tokens: TokenizedDocuments, prompt_length: int, reference: GateReference
) -> tuple[str, str]:
    """What to blame, and what to do about it."""
    least = LEAST_COSINE[encoder.precision]

    def passes(variant: Gated) -> bool:
        found = variant.encode(tokens.values, tokens.offsets, prompt_length).vectors
        return worst_cosine(found, reference.vectors) >= least

    if encoder.compiled and passes(encoder.variant(compile=False)):
        return "compilation", "set compile to false"
    if worst_cosine(one_by_one(encoder, tokens, prompt_length), reference.vectors) >= least:
        return "packing" if encoder.path == "packed" else "padding", "report it with the model's name"
    if encoder.precision != "float32" and passes(encoder.variant(precision="float32")):
        return f"precision {encoder.precision}", "set precision to float32"
    return "the network", "fetch the model again, or report it with the model's name"
