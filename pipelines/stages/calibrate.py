"""calibrate: a sample of the corpus -> how its vectors are quantized. One process does it, with what an encoder has.

The sample goes through the stages that the whole corpus goes through, but its vectors stay float32 and here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.model.calibration import Calibrated, calibrate
from pipelines.model.quantize import Floats
from pipelines.schema import EMBEDDING, SliceHeader, fold, unfold, vectors_to_numpy
from pipelines.spec import EmbedSpec
from pipelines.stages.attempts import Attempts
from pipelines.stages.encode import ChunkEncoder
from pipelines.stages.read import Reading, Stretch, slices_at_once
from pipelines.stages.recipe import Recipe
from pipelines.stages.slicewise import ROW
from pipelines.stages.tokenize import INPUT_IDS, ChunkTokenizer


def calibrate_on(
    sample: Sequence[Stretch], reading: Reading, recipe: Recipe[EmbedSpec], settings: dict[str, Any], attempts: Attempts
) -> Calibrated:
    """What a sample tells. Rows that could not be processed, and shards that break, are left out of it.

    Where a document has several chunks, as many are taken by chance as there are documents, so that long ones do not
    make long work. A document that kills its process is left out by the attempt after.
    """
    floats = replace(recipe, spec=replace(recipe.spec, output_dtype="float32"))
    tokenizer, encoder = ChunkTokenizer(floats, attempts), ChunkEncoder(floats, settings, attempts=attempts)
    vectors = [np.zeros((0, int(recipe.spec.dim)), np.float32)]
    documents = [np.zeros(0, np.int64)]
    for chunks in _chunks(sample, reading, tokenizer, recipe.spec.calibration.seed):
        found, numbers = _encoded(chunks, encoder)
        vectors.append(found)
        documents.append(numbers)
    return calibrate(np.concatenate(vectors), np.concatenate(documents), recipe.spec)


def _chunks(sample: Sequence[Stretch], reading: Reading, tokenizer: ChunkTokenizer, seed: int) -> Iterator[pa.Table]:
    """Chunks of some stretches at a time. Their ROW numbers the documents of the sample, in order."""
    rng = np.random.Generator(np.random.Philox(seed))
    num_before = 0
    for slices in slices_at_once(sample, reading):
        tables = []
        for documents in slices:
            chunks, header = unfold(tokenizer(documents))
            if not header.error and chunks.num_rows:
                tables.append(_numbered(_some(chunks, header.num_documents, rng), num_before))
                num_before += header.num_documents
        if tables:
            yield pa.concat_tables(tables)


def _some(chunks: pa.Table, most: int, rng: np.random.Generator) -> pa.Table:
    if chunks.num_rows <= most:
        return chunks
    return chunks.take(pa.array(np.sort(rng.choice(chunks.num_rows, most, replace=False))))


def _numbered(chunks: pa.Table, num_before: int) -> pa.Table:
    _, places = np.unique(chunks[ROW].to_numpy(), return_inverse=True)
    return pa.table({ROW: pa.array(places + num_before, pa.int64()), INPUT_IDS: chunks[INPUT_IDS]})


def _encoded(chunks: pa.Table, encoder: ChunkEncoder) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Vectors, and which document each is of."""
    rows = chunks[ROW].to_numpy()
    header = SliceHeader(shard="", shard_id="sample", first_row=int(rows[0]), num_documents=len(np.unique(rows)))
    found, _ = unfold(encoder(fold(chunks, header)))
    return vectors_to_numpy(found[EMBEDDING]), found[ROW].to_numpy()
