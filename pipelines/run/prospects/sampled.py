"""What a sample of the documents that are to be done tells: read and tokenized here, as the stages do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.run.prospects.pooled import Documents, by_place, error_of, pooled
from pipelines.run.prospects.sample import sample_of
from pipelines.schema import SliceHeader, fold, unfold
from pipelines.spec import DocumentSpec
from pipelines.stages.read import Reading, Stretch, slices_at_once
from pipelines.stages.recipe import Recipe
from pipelines.stages.slicewise import ROW
from pipelines.stages.tokenize import ChunkTokenizer

NUM_DOCUMENTS, SEED = 1024, 0
UNCUT: dict[str, Any] = {"max_seqlen": 2**24, "overlong": "truncate", "stride": 0}
"""What a spec has that cuts nothing."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """Some documents from all over what is to be done."""

    num_documents: int
    num_dead_letters: int
    lengths: Ints
    """Tokens of each chunk."""
    document_lengths: Ints
    """Tokens of each document that was read, if nothing were cut."""
    num_truncated: int
    places: Ints
    """[places, 2]: documents and tokens of each place."""
    tokenize_seconds: float
    chunks: pa.Table
    """As encoders take them, without headers."""

    @property
    def tokens(self) -> int:
        """Of all chunks."""
        return int(self.lengths.sum())

    @property
    def tokenizer_tokens_per_second(self) -> float:
        """Of one process, here; 0 where nothing was tokenized."""
        return self.tokens / self.tokenize_seconds if self.tokenize_seconds else 0.0

    @property
    def tokens_error(self) -> float:
        """Half the width of the 95 % interval of tokens a document, as a share of it, by how the places differ."""
        return error_of(self.places)


def take_sample(
    stretches: Sequence[Stretch], reading: Reading, recipe: Recipe[DocumentSpec], stop: Event | None = None
) -> Sampled:
    """A seeded sample of the stretches' documents; of few of them all. Shards that break are left out of it.

    Once ``stop`` is set it ends with what it has. StoreError where the world fails.
    """
    tokenizer = ChunkTokenizer(recipe)
    whole = ChunkTokenizer(replace(recipe, spec=replace(recipe.spec, **UNCUT)))
    found: list[_Some] = []
    for slices in slices_at_once(sample_of(stretches, NUM_DOCUMENTS, SEED), reading):
        if stop is not None and stop.is_set():
            break
        read = [(documents, header) for documents, header in map(unfold, slices) if not header.error]
        if read:
            found.append(_tokenized(read, sum(len(one.documents) for one in found), tokenizer, whole))
    return _told(found)


@dataclass(frozen=True, kw_only=True)
class _Some:
    """Documents of some places: how many of each place, their chunks, and what was counted."""

    documents: Ints
    header: SliceHeader
    chunks: pa.Table
    uncut: Ints


def _tokenized(read: Documents, num_before: int, tokenizer: ChunkTokenizer, whole: ChunkTokenizer) -> _Some:
    documents, header = pooled(read, num_before)
    chunks, header = unfold(tokenizer(fold(documents, header)))
    return _Some(
        documents=np.array([one.num_documents for _, one in read], np.int64),
        header=header,
        chunks=chunks,
        uncut=_uncut(documents, chunks, whole),
    )


def _uncut(documents: pa.Table, chunks: pa.Table, whole: ChunkTokenizer) -> Ints:
    """Tokens of each document; those that were cut are tokenized again."""
    rows, counts = np.unique(chunks[ROW].to_numpy(), return_counts=True)
    cut = np.union1d(rows[counts > 1], chunks[ROW].to_numpy()[chunks["truncated"].to_numpy()])
    if not len(cut):
        return _tokens(chunks)
    again = documents.filter(pc.is_in(documents[ROW], pa.array(cut)))
    kept = chunks.filter(pc.invert(pc.is_in(chunks[ROW], pa.array(cut))))
    return np.concatenate([_tokens(kept), _tokens(whole(again))])


def _told(found: list[_Some]) -> Sampled:
    headers, none = [one.header for one in found], np.zeros(0, np.int64)
    lengths = np.concatenate([none, *(_tokens(one.chunks) for one in found)])
    documents = np.concatenate([none, *(one.documents for one in found)])
    rows = np.concatenate([none, *(one.chunks[ROW].to_numpy() for one in found)])
    return Sampled(
        num_documents=int(documents.sum()),
        num_dead_letters=sum(len(header.dead_letters) for header in headers),
        lengths=lengths,
        document_lengths=np.concatenate([none, *(one.uncut for one in found)]),
        num_truncated=int(sum(header.stats["truncated"] for header in headers)),
        places=by_place(documents, rows, lengths),
        tokenize_seconds=sum(header.stats["tokenize_seconds"] for header in headers),
        chunks=pa.concat_tables(one.chunks for one in found) if found else pa.table({}),
    )


def _tokens(chunks: pa.Table) -> Ints:
    return chunks["num_tokens"].to_numpy().astype(np.int64)
