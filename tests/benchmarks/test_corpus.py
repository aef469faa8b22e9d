from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from benchmarks import corpus
from benchmarks.embed import model_folder


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    texts = [f"{number:03d}" for number in range(100)]
    pq.write_table(pa.table({"id": texts, "text": texts, "year": range(100)}), folder / "x.parquet")
    return folder


def test_thin_takes_evenly_spaced_rows(documents: Path, tmp_path: Path) -> None:
    table = corpus.thin(documents, tmp_path / "thin", 4)
    assert table["id"].to_pylist() == ["000", "033", "066", "099"]
    assert table.column_names == ["id", "text"]
    assert ds.dataset(tmp_path / "thin").to_table().equals(table)
    assert corpus.thin(documents, tmp_path / "all", 0).num_rows == 100


def test_repeat_gives_new_ids_each_time(documents: Path, tmp_path: Path) -> None:
    table = corpus.repeat(documents, tmp_path / "repeated", 900)  # 300 bytes of text each time
    assert table.num_rows == len(set(table["id"].to_pylist())) == 300
    assert sorted(path.name for path in (tmp_path / "repeated").iterdir()) == [
        "000.parquet",
        "001.parquet",
        "002.parquet",
    ]
    last = pq.read_table(tmp_path / "repeated/002.parquet")
    assert last.slice(1, 1).to_pylist() == [{"id": "001-2", "text": "001"}]


def test_tokens_count_special_ones_and_stop_at_the_limit() -> None:
    """[CLS] hello world [SEP] are four; a long text is cut."""
    assert corpus.num_tokens(["hello world"], model_folder(), 256) == 4
    assert corpus.num_tokens(["hello world", "word " * 500], model_folder(), 256) == 260
