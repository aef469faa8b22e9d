from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.run.prospects.pooled import by_place, error_of, pooled
from pipelines.schema import DeadLetter, SliceHeader


def place(rows: list[int], dead: int | None = None) -> tuple[pa.Table, SliceHeader]:
    letters = () if dead is None else (DeadLetter(row=dead, stage="read", reason="the text is null"),)
    count = len(rows) + len(letters)
    header = SliceHeader(shard="x", shard_id="x", first_row=5, num_documents=count, dead_letters=letters)
    return pa.table({"id": rows, "_row": rows}), header


def test_documents_of_places_that_have_the_same_row_numbers_stay_apart() -> None:
    documents, header = pooled([place([5, 7], dead=6), place([5])], 3, "a.parquet")
    assert documents["id"].to_pylist() == [5, 7, 5]
    rows = documents["_row"].to_numpy()
    assert len(set(rows.tolist())) == 3
    assert (header.shard, header.num_documents, len(header.dead_letters)) == ("a.parquet", 4, 1)
    sums = by_place(np.array([0, 0, 0, 3, 1]), rows, np.array([10, 20, 7]))
    assert sums.tolist() == [[0, 0], [0, 0], [0, 0], [3, 30], [1, 7]]


def test_a_place_of_which_nothing_was_made_counts() -> None:
    assert by_place(np.array([2, 3]), np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == [[2, 0], [3, 0]]


def test_the_error_is_by_how_places_differ() -> None:
    """Of 8 documents each, 80 and 120 tokens: 10 a document on average, off by 20 tokens each.

    The variance of the sum is 2 / 1 x (400 + 400) = 1600, so that the sum of 200 is off by 40, 1.96 times.
    """
    assert error_of(np.array([(8, 80), (8, 120)])) == pytest.approx(1.96 * 40 / 200)
    assert error_of(np.array([(8, 80), (4, 40)])) == 0.0
    assert error_of(np.array([(8, 80)])) == error_of(np.zeros((0, 2), np.int64)) == 0.0
