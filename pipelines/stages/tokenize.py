"""tokenize: documents -> chunks of token ids, on the CPU pool."""

from __future__ import annotations

from itertools import compress
from typing import Any

import numpy as np
import pyarrow as pa
from ray.data import Dataset

from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.model.tokens import TokenizedDocuments
from pipelines.predict_spec import PredictSpec
from pipelines.schema import CHUNK_FIELDS, ragged
from pipelines.stages.actors import ActorPool, on_slices
from pipelines.stages.attempts import Attempts
from pipelines.stages.documents import TEXT, TEXT_PAIR, joined, values_of
from pipelines.stages.recipe import Recipe
from pipelines.stages.sentences import pairs_to_arrow, sentence_pairs
from pipelines.stages.slicewise import ROW, Outcome, slicewise, without

INPUT_IDS = "input_ids"
SEGMENT_B_START = "segment_b_start"
"""Of pairs: place of the second text's first token, int32."""
WORD_IDS = "word_ids"
"""Number of each token's word, -1 for special tokens: list<int32> as long as input_ids, for specs that need words."""
CHARS = "token_chars"
"""Start and end of each token in the text, -1 for special tokens: list<int32> twice as long as input_ids."""
SENTENCES = "sentence_pairs"
"""Neighbouring sentences of each document, as ``pairs_to_arrow`` lays them out."""
WORKING = (INPUT_IDS, SEGMENT_B_START, WORD_IDS, CHARS, SENTENCES)
"""Columns between tokenize and encode, which do not reach the parts."""


def tokenize(documents: Dataset, recipe: Recipe[Any], pool: ActorPool) -> Dataset:
    """Documents become chunks with ``input_ids`` (list<int32>), num_tokens and truncated.

    With overlong=chunk a document becomes as many rows as it has chunks, with chunk_index, char_start and char_end.
    """
    return on_slices(documents, ChunkTokenizer, pool, recipe=recipe, attempts=Attempts())


class ChunkTokenizer:
    """Actor that tokenizes slices, or any table that has the spec's text columns."""

    def __init__(self, recipe: Recipe[Any], attempts: Attempts | None = None) -> None:
        self._spec = recipe.spec
        self._attempts = attempts
        self._tokenizer = DocumentTokenizer(recipe.folder(), recipe.spec)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """A slice of documents becomes a slice of chunks; a plain table likewise."""
        return slicewise(batch, "tokenize", self._tokenize, self._attempts)

    def _tokenize(self, documents: pa.Table) -> Outcome:
        spec = self._spec
        for name, columns in ((TEXT, spec.texts), (TEXT_PAIR, spec.pairs)):
            if columns and name not in documents.column_names:
                documents = documents.append_column(name, joined(documents, columns, spec.separator))
        texts, failures = _texts(documents)
        documents = without(documents, list(failures))
        tokens = self._tokenizer.chunks(*texts)
        given = [name for name in (TEXT, TEXT_PAIR) if name in documents.column_names]
        chunks = documents.drop_columns(given).take(pa.array(tokens.document))
        for name, column in self._columns(tokens).items():
            chunks = chunks.append_column(name, column)
        if isinstance(spec, PredictSpec) and spec.asks_for_sentences:
            pairs = sentence_pairs(texts[0], spec.language, self._tokenizer)
            chunks = chunks.append_column(SENTENCES, pairs_to_arrow(pairs))
        stats = {"num_tokens": int(tokens.num_tokens.sum()), "truncated": int(tokens.truncated.sum())}
        return Outcome(table=chunks, failures=failures, stats=stats)

    def _columns(self, tokens: TokenizedDocuments) -> dict[str, pa.Array]:
        columns = {
            INPUT_IDS: ragged(tokens.values, tokens.offsets),
            "num_tokens": pa.array(tokens.num_tokens, pa.int32()),
            "truncated": pa.array(np.asarray(tokens.truncated, bool)),
        }
        if tokens.segment_b_start is not None:
            columns[SEGMENT_B_START] = pa.array(tokens.segment_b_start, pa.int32())
        if tokens.words is not None:
            columns[WORD_IDS] = ragged(tokens.words, tokens.offsets)
        if tokens.chars is not None:
            columns[CHARS] = ragged(tokens.chars.ravel(), 2 * tokens.offsets)
        if self._spec.overlong == "chunk":
            columns |= {name: pa.array(getattr(tokens, name), kind) for name, kind in CHUNK_FIELDS}
        return columns


def _texts(documents: pa.Table) -> tuple[list[list[str]], dict[int, str]]:
    """The texts that can be read, and the second ones, of rows in which both can; why the other rows can't.

    They are null, or bytes that are no UTF-8.
    """
    names = {TEXT: "the text", TEXT_PAIR: "the second text"}
    found = {name: values_of(documents[name]) for name in names if name in documents.column_names}
    failures: dict[int, str] = {}
    for name, values in found.items():
        for row, text in zip(documents[ROW].to_pylist(), values, strict=True):
            if not isinstance(text, str):
                failures.setdefault(row, f"{names[name]} is {'null' if text is None else 'not valid UTF-8'}")
    sound = [row not in failures for row in documents[ROW].to_pylist()]
    return [[str(text) for text in compress(values, sound)] for values in found.values()], failures
