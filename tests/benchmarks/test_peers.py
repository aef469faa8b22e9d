from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.embed import model_folder, vectors
from benchmarks.peers import Job, sentence_transformers


@pytest.mark.parametrize(("dtype", "least"), [("float32", 0.999999), ("bfloat16", 0.98)])
def test_sentence_transformers_writes_a_vector_a_document_and_counts_padding(
    tmp_path: Path, dtype: str, least: float
) -> None:
    """Two texts of 3 and 6 tokens in one batch are computed as 2 x 6."""
    (tmp_path / "documents").mkdir()
    (tmp_path / "vectors").mkdir()
    table = pa.table({"id": ["b", "a"], "text": ["peace", "war and peace again"]})
    pq.write_table(table, tmp_path / "documents/x.parquet")
    outcome = sentence_transformers(Job(tmp_path / "documents", tmp_path / "vectors", model_folder()), dtype)
    assert outcome.num_computed_tokens == 12
    found = vectors(tmp_path / "vectors")
    assert found.shape == (2, 384)
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(model_folder())).encode(["war and peace again", "peace"])  # in order of their ids
    assert (np.asarray(plain) * found).sum(axis=1).min() > least
