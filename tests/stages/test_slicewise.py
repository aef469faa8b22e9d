"""A stage on a slice and on a plain table: what goes on, what becomes a dead letter."""

import pyarrow as pa
import pytest

from pipelines.errors import SpecError
from pipelines.schema import DeadLetter, SliceHeader, fold, unfold
from pipelines.stages.slicewise import ROW, Outcome, private_bytes, slicewise, without


def double(table: pa.Table) -> Outcome:
    bad = [row for row, n in zip(table[ROW].to_pylist(), table["n"].to_pylist(), strict=True) if n < 0]
    kept = without(table, bad)
    doubled = pa.array([2 * n for n in kept["n"].to_pylist()], pa.int64())
    failures = dict.fromkeys(bad, "n is negative")
    return Outcome(table=kept.set_column(1, "n", doubled), failures=failures, stats={"seen": 3}, facts={"how": "twice"})


def slice_of(**changes):
    header = SliceHeader(**{"shard": "a", "shard_id": "b", "first_row": 10, "num_documents": 3} | changes)
    return fold(pa.table({ROW: [10, 11, 12], "n": [1, -2, 3]}), header)


def test_a_slice_keeps_its_failures_as_dead_letters():
    table, header = unfold(slicewise(slice_of(), "double", double))
    assert table.to_pydict() == {ROW: [10, 12], "n": [2, 6]}
    assert header.dead_letters == (DeadLetter(row=11, stage="double", reason="n is negative"),)
    assert header.stats["seen"] == 3
    assert header.stats["double_seconds"] > 0
    assert header.stats["peak_bytes.double"] > 2**20
    assert header.facts == {"how": "twice"}


def test_an_error_slice_passes_untouched():
    folded = slice_of(error="ShardError: truncated")
    assert slicewise(folded, "double", double) is folded


def test_a_plain_table_stays_plain():
    assert slicewise(pa.table({ROW: [0, 1], "n": [1, 2]}), "double", double)["n"].to_pylist() == [2, 4]


def test_a_plain_table_has_no_place_for_dead_letters():
    with pytest.raises(SpecError, match="1 rows could not pass double, the first is row 1"):
        slicewise(pa.table({ROW: [0, 1], "n": [1, -2]}), "double", double)


def test_without_takes_all_chunks_of_a_document():
    table = pa.table({ROW: [4, 4, 5], "chunk_index": [0, 1, 0]})
    assert without(table, [4]).to_pydict() == {ROW: [5], "chunk_index": [0]}
    assert without(table, []) is table


def test_private_bytes_grows_with_what_is_held():
    before = private_bytes()
    held = bytearray(b"x" * (50 * 2**20))
    assert private_bytes() - before > 40 * 2**20
    del held
