from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from examples import reviews


def test_reviews_are_fresh_or_rotten() -> None:
    table = reviews.reviews()
    assert Counter(table["label"].to_pylist()) == {"fresh": 7403, "rotten": 5405}
    assert len(set(table["id"].to_pylist())) == table.num_rows
    assert sum(column.null_count for column in table.columns) == 0
    first = table.slice(0, 1).to_pylist()[0]
    assert first == {
        "id": "a_grin_without_a_cat-1",
        "text": "A three-hour cinema master class.",
        "label": "fresh",
        "film": "a_grin_without_a_cat",
    }


def test_main_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reviews.main(tmp_path)
    assert capsys.readouterr().out == f"{tmp_path}: 12,808 reviews of 508 films in 2 shards\n"
    assert ds.dataset(tmp_path).count_rows() == 12_808
