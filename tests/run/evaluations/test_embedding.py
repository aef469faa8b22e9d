from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.run.evaluations.embedding import embedded, unit
from pipelines.spec import EmbedSpec
from tests.tiny import embed_in_turn, write_shard


def test_vectors_of_length_0_stay() -> None:
    assert unit(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist() == [[np.float32(0.6), np.float32(0.8)], [0, 0]]


def test_vectors_are_read_back_in_the_order_of_the_corpus(tiny_model: Path, tmp_path: Path) -> None:
    write_shard(tmp_path / "corpus/b.parquet", 5, first=10)
    write_shard(tmp_path / "corpus/a.parquet", 3)
    embed_in_turn(EmbedSpec(model=str(tiny_model)), tmp_path / "corpus", tmp_path / "out")
    parts = list(embedded(str(tmp_path / "out")))
    assert [ids for ids, _ in parts] == [[0, 1, 2], [10, 11, 12, 13, 14]]
    assert [vectors.shape for _, vectors in parts] == [(3, 32), (5, 32)]
    assert all(np.linalg.norm(vectors, axis=1).round(3).tolist() == [1] * len(vectors) for _, vectors in parts)
