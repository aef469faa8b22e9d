from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.bag_of_words import main, split

WORDS = {"crown": "the king wears a crown", "sea": "a ship sails the sea"}


def rows() -> pa.Table:
    found = [{"id": f"{label}-{number}", "text": f"{text} {number // 2}", "label": label}
             for number in range(50) for label, text in WORDS.items()]  # fmt: skip
    return pa.Table.from_pylist(found)


def test_what_was_learnt_from_is_not_evaluated_on() -> None:
    """Each text is there twice."""
    train, held_out = split(rows(), 0.2)
    assert train.num_rows == 80
    assert not set(train["text"].to_pylist()) & set(held_out["text"].to_pylist())
    assert held_out.num_rows < 20
    assert train["label"].to_pylist().count("sea") == 40


def test_words_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(rows(), tmp_path / "rows.parquet")
    main(tmp_path / "rows.parquet", 0.5)
    assert "50 to learn from" in (told := capsys.readouterr().out)
    assert told.endswith("accuracy 1.0000\n")
