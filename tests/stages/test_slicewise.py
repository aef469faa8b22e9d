"""A stage on a slice and on a plain table: what goes on, what becomes a dead letter, what kills its process."""

import ctypes
import subprocess
import sys
import tempfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import SpecError, StoreError
from pipelines.schema import DeadLetter, SliceHeader, fold, unfold
from pipelines.stages.attempts import Attempts
from pipelines.stages.slicewise import HOPELESS, PLAIN_ATTEMPTS, ROW, Outcome, private_bytes, slicewise, without
from tests.children import die, forked, kill_myself
from tests.sources import ROOT


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


def test_what_is_counted_already_is_counted_too():
    _, header = unfold(slicewise(slice_of(), "double", double, stats={"waited": 0.5}))
    assert (header.stats["seen"], header.stats["waited"]) == (3, 0.5)


@pytest.fixture
def attempts(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Attempts()


def chunks_of(first_row, rows):
    """A slice of documents, each of two chunks."""
    header = SliceHeader(shard="a", shard_id="b", first_row=first_row, num_documents=len(rows))
    rows = [row for row in rows for _ in range(2)]
    return fold(pa.table({ROW: rows, "n": [-row if row % 5 == 4 else row for row in rows]}), header)


def until_done(batch, deadly, attempts, folder):
    """Attempts in one process after another, as Ray makes them; how many died, and what the last one made."""

    def work(documents):
        if deadly & set(documents[ROW].to_pylist()):
            kill_myself()
        return double(documents)

    def attempt():
        pq.write_table(slicewise(batch, "double", work, attempts), folder / "done")

    died = 0
    while forked(attempt) != 0:
        died += 1
        assert died < 20
    return died, unfold(pq.read_table(folder / "done"))


@pytest.mark.parametrize("deadly", [{10}, {19}, {12, 13, 17}, {14}, {10, 11, 12, 13, 15, 16, 17, 18, 19}])
def test_documents_that_kill_their_process_cost_their_rows_alone(attempts, tmp_path, deadly):
    batch = chunks_of(10, range(10, 20))
    plain, head = unfold(slicewise(batch, "double", double))
    died, (table, header) = until_done(batch, deadly, attempts, tmp_path)
    assert died == PLAIN_ATTEMPTS + len(deadly)
    assert table.to_pylist() == without(plain, sorted(deadly)).to_pylist()
    reasons = {letter.row: letter.reason for letter in head.dead_letters}
    assert reasons == {14: "n is negative", 19: "n is negative"}
    reasons |= dict.fromkeys(deadly, f"the process that worked on it died, {PLAIN_ATTEMPTS + 1} times")
    assert {letter.row: letter.reason for letter in header.dead_letters} == reasons
    assert len(header.dead_letters) == len(reasons)


def test_a_few_documents_all_of_which_kill_leave_an_empty_slice(attempts, tmp_path):
    died, (table, header) = until_done(chunks_of(10, range(10, 13)), {10, 11, 12}, attempts, tmp_path)
    assert (died, table.num_rows, len(header.dead_letters)) == (PLAIN_ATTEMPTS + 3, 0, 3)


def test_deaths_at_every_document_are_no_documents_fault(attempts):
    batch = chunks_of(10, range(10, 10 + 2 * HOPELESS))
    _, header = unfold(batch)
    for row in [*[()] * PLAIN_ATTEMPTS, *((row,) for row in range(10, 10 + HOPELESS))]:
        die(attempts, "double", header, *row)
    with pytest.raises(StoreError, match=r"double died 12 times at one slice, whichever document it worked on"):
        slicewise(batch, "double", double, attempts)


def test_deaths_before_any_document_are_no_documents_fault(attempts):
    batch = chunks_of(10, range(10, 12))
    _, header = unfold(batch)
    for _ in range(HOPELESS):
        die(attempts, "double", header)
    with pytest.raises(StoreError, match="double died 10 times"):
        slicewise(batch, "double", double, attempts)


def test_one_document_at_a_time_is_the_same(attempts):
    batch = chunks_of(10, range(10, 20))
    seen = []

    def work(documents):
        seen.append(documents[ROW].to_pylist())
        return double(documents)

    table, header = unfold(slicewise(batch, "double", work, attempts))
    assert len(seen) == 1
    for _ in range(PLAIN_ATTEMPTS):
        die(attempts, "double", header)
    alone, its_header = unfold(slicewise(batch, "double", work, attempts))
    assert seen[1:] == [[], *([row, row] for row in range(10, 20))]
    assert alone.equals(table)
    assert (its_header.dead_letters, its_header.facts) == (header.dead_letters, header.facts)
    assert its_header.stats["seen"] == 11 * header.stats["seen"]


def test_without_takes_all_chunks_of_a_document():
    table = pa.table({ROW: [4, 4, 5], "chunk_index": [0, 1, 0]})
    assert without(table, [4]).to_pydict() == {ROW: [5], "chunk_index": [0]}
    assert without(table, []) is table


def test_private_bytes_grows_with_what_is_held():
    before = private_bytes()
    held = bytearray(b"x" * (50 * 2**20))
    assert private_bytes() - before > 40 * 2**20
    del held


def test_memory_that_is_free_is_given_back():
    """In a process of its own: pools of the C library that are free but for a block here and there."""
    code = (
        "from pipelines.stages.slicewise import give_back, private_bytes\n"
        "blocks = [bytes(2000) for _ in range(100_000)]\n"
        "blocks = blocks[::50]\n"
        "before = private_bytes()\n"
        "give_back()\n"
        "print(before - private_bytes())"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(told.stdout) > 50e6 or not hasattr(ctypes.CDLL(None), "malloc_trim")
