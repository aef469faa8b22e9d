from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from examples import pairs


def test_news_come_with_what_people_said() -> None:
    rows = pairs.judged_pairs().to_pylist()
    assert len(rows) == 50 * 49 // 2
    assert [(row["id"], row["score"]) for row in rows[:3]] == [("0-1", 0.3), ("0-2", 0.24), ("0-3", 0.2)]
    assert all(0 <= row["score"] <= 1 and row["first"] != row["second"] for row in rows)


def test_sentences_come_two_by_two() -> None:
    table = pairs.consecutive_sentences()
    assert len(set(table["id"].to_pylist())) == table.num_rows > 20_000
    first = table.slice(0, 1).to_pylist()[0]
    assert first["id"] == "1790-Washington-1-2-1"
    assert first["anchor"].startswith("I embrace with great satisfaction the opportunity")
    assert first["positive"].startswith("The recent accession of the important state of North Carolina")
    assert min(map(len, table["positive"].to_pylist())) >= pairs.MIN_CHARACTERS


def test_main_writes_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs.main(tmp_path)
    assert pq.read_table(tmp_path / "news/news.parquet").num_rows == 1225
    assert "news: 1,225 pairs" in capsys.readouterr().out
