"""tokenize: documents -> chunks of token ids, on the CPU pool."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from ray.data import Dataset

from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.model.tokens import TokenizedDocuments
from pipelines.schema import CHUNK_FIELDS, ragged
from pipelines.stages.actors import ActorPool, on_slices
from pipelines.stages.attempts import Attempts
from pipelines.stages.documents import TEXT, joined
from pipelines.stages.recipe import Recipe
from pipelines.stages.slicewise import ROW, Outcome, slicewise, without

INPUT_IDS = "input_ids"
WORD_IDS = "word_ids"
"""Number of each token's word, -1 for special tokens: list<int32> as long as input_ids, for specs that need words."""


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
        if TEXT not in documents.column_names:
            documents = documents.append_column(TEXT, joined(documents, self._spec.texts, self._spec.separator))
        texts, failures = _texts(documents)
        documents = without(documents, list(failures))
        tokens = self._tokenizer.tokenize(texts, with_words=self._spec.needs_words)
        chunks = documents.drop_columns([TEXT]).take(pa.array(tokens.document))
        for name, column in self._columns(tokens).items():
            chunks = chunks.append_column(name, column)
        stats = {"num_tokens": int(tokens.num_tokens.sum()), "truncated": int(tokens.truncated.sum())}
        return Outcome(table=chunks, failures=failures, stats=stats)

    def _columns(self, tokens: TokenizedDocuments) -> dict[str, pa.Array]:
        columns = {
            INPUT_IDS: ragged(tokens.values, tokens.offsets),
            "num_tokens": pa.array(tokens.num_tokens, pa.int32()),
            "truncated": pa.array(np.asarray(tokens.truncated, bool)),
        }
        if tokens.words is not None:
            columns[WORD_IDS] = ragged(tokens.words, tokens.offsets)
        if self._spec.overlong == "chunk":
            columns |= {name: pa.array(getattr(tokens, name), kind) for name, kind in CHUNK_FIELDS}
        return columns


def _texts(documents: pa.Table) -> tuple[list[str], dict[int, str]]:
    """The texts that can be read, and why the other rows can't: null, or bytes that are no UTF-8."""
    try:
        texts = documents[TEXT].to_pylist()
    except UnicodeDecodeError:
        texts = [_text(value) for value in documents[TEXT]]
    rows = documents[ROW].to_pylist()
    failures = {
        row: "the text is null" if text is None else "the text is not valid UTF-8"
        for row, text in zip(rows, texts, strict=True)
        if not isinstance(text, str)
    }
    return [text for text in texts if isinstance(text, str)], failures


def _text(value: pa.Scalar) -> str | bool | None:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return False
