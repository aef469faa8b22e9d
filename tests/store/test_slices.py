"""Cuts against a plain oracle, memory against the size of a file, what breaks midway, what changes midway."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import ShardError, StoreError
from pipelines.spec import Slicing, Storage
from pipelines.store import slices
from pipelines.store.location import Location
from pipelines.store.shards import Shard, list_shards, read_footer
from pipelines.store.slices import SliceReading, cut, read_slices, whole

ROOT = Path(__file__).resolve().parents[2]


def table_of(texts: list[str | None]) -> pa.Table:
    return pa.table({"id": pa.array(range(len(texts)), pa.int32()), "text": pa.array(texts, pa.string())})


def shard_of(path: Path, table: pa.Table, **options: object) -> Shard:
    pq.write_table(table, path, **options)
    return list_shards(str(path))[0]


def slices_of(
    shard: Shard, slicing: Slicing, first: int = 0, stop: int | None = None, output_row_bytes: int = 1
) -> list[tuple[int, pa.Table]]:
    stop = read_footer(shard).num_rows if stop is None else stop
    return list(read_slices(shard, first, stop, reading("text", "id", slicing=slicing, row_bytes=output_row_bytes)))


def reading(*columns: str, slicing: Slicing = Slicing(), row_bytes: int = 1) -> SliceReading:
    return SliceReading(columns=columns, slicing=slicing, output_row_bytes=row_bytes)


def greedy(texts: list[str | None], max_rows: int, max_bytes: int) -> list[tuple[int, int]]:
    """The plain way: row by row. A row is its text in UTF-8, and four bytes for the id."""
    cuts: list[tuple[int, int]] = []
    rows = total = 0
    for number, text in enumerate(texts):
        size = len((text or "").encode()) + 4
        if rows and (rows == max_rows or total + size > max_bytes):
            cuts.append((number - rows, rows))
            rows = total = 0
        rows, total = rows + 1, total + size
    return [*cuts, (len(texts) - rows, rows)] if rows else cuts


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.one_of(st.none(), st.text("aé😀", max_size=12)), max_size=60),
    row_group_size=st.integers(1, 70),
    max_rows=st.integers(1, 20),
    max_bytes=st.integers(1, 120),
    batch_rows=st.integers(1, 64),
    data=st.data(),
)
def test_cuts_are_those_of_the_plain_way_wherever_a_stream_starts_on_a_cut(
    tmp_path: Path,
    texts: list[str | None],
    row_group_size: int,
    max_rows: int,
    max_bytes: int,
    batch_rows: int,
    data: st.DataObject,
) -> None:
    table = table_of(texts)
    shard = shard_of(tmp_path / "a.parquet", table, row_group_size=row_group_size)
    slicing = Slicing(max_rows=max_rows, max_bytes=max_bytes)
    expected = greedy(texts, max_rows, max_bytes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "SAMPLE_ROWS", batch_rows)
        whole = slices_of(shard, slicing)
        assert [(first, part.num_rows) for first, part in whole] == expected
        for first, part in whole:
            assert part.equals(table.slice(first, part.num_rows).select(["text", "id"]))
        start = data.draw(st.sampled_from([first for first, _ in expected] or [0]))
        again = slices_of(shard, slicing, first=start)
    assert [(first, part.num_rows) for first, part in again] == [row for row in expected if row[0] >= start]


def test_a_slice_ends_before_each_of_its_limits(tmp_path: Path) -> None:
    shard = shard_of(tmp_path / "a.parquet", table_of(["x" * 6] * 10))  # ten bytes a row, with the id
    assert [t.num_rows for _, t in slices_of(shard, Slicing(max_rows=4))] == [4, 4, 2]
    assert [t.num_rows for _, t in slices_of(shard, Slicing(max_bytes=30))] == [3, 3, 3, 1]
    assert [t.num_rows for _, t in slices_of(shard, Slicing(max_bytes=39))] == [3, 3, 3, 1]
    assert [t.num_rows for _, t in slices_of(shard, Slicing(max_output_bytes=500), output_row_bytes=100)] == [5, 5]
    assert [t.num_rows for _, t in slices_of(shard, Slicing(max_output_bytes=1), output_row_bytes=100)] == [1] * 10


def test_a_row_beyond_the_limit_goes_alone(tmp_path: Path) -> None:
    shard = shard_of(tmp_path / "a.parquet", table_of(["a", "x" * 100, "b", "c"]))
    assert [(first, t.num_rows) for first, t in slices_of(shard, Slicing(max_bytes=20))] == [(0, 1), (1, 1), (2, 2)]


def test_cut_takes_one_row_at_least() -> None:
    assert cut(np.array([5, 5, 5]), 10, 10) == 2
    assert cut(np.array([50, 5]), 10, 10) == 1
    assert cut(np.array([0, 0, 0]), 2, 0) == 2


@given(
    sizes=st.lists(st.integers(0, 12), max_size=12),
    after=st.lists(st.integers(0, 12), max_size=3),
    max_rows=st.integers(1, 6),
    max_bytes=st.integers(1, 30),
)
def test_a_slice_is_whole_when_and_only_when_no_later_row_can_change_it(
    sizes: list[int], after: list[int], max_rows: int, max_bytes: int
) -> None:
    def first_cut(*more: int) -> int:
        return cut(np.array([*sizes, *more]), max_rows, max_bytes)

    taken = whole(np.array(sizes, np.int64), max_rows, max_bytes)
    if taken:
        assert taken == first_cut(*after) == first_cut(0)
    else:
        assert first_cut(0) == len(sizes) + 1  # a row without bytes goes in


def test_a_stretch_in_the_middle(tmp_path: Path) -> None:
    table = table_of([f"t{i}" for i in range(100)])
    shard = shard_of(tmp_path / "a.parquet", table, row_group_size=7)
    read = slices_of(shard, Slicing(max_rows=9), first=23, stop=61)
    assert pa.concat_tables(part for _, part in read) == table.slice(23, 38).select(["text", "id"])
    assert [first for first, _ in read] == [23, 32, 41, 50, 59]


def test_row_groups_before_the_first_row_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table_of(["x" * 1000] * 100), path, row_group_size=50, compression="none", use_dictionary=False)
    end = (
        pq.read_metadata(path).row_group(1).column(0).file_offset
        or pq.read_metadata(path).row_group(1).column(0).data_page_offset
    )
    with path.open("r+b") as file:  # whoever reads the first row group finds ruins
        file.seek(4)
        file.write(b"\xff" * (end - 4))
    shard = list_shards(str(path))[0]
    assert sum(t.num_rows for _, t in slices_of(shard, Slicing(), first=50)) == 50
    with pytest.raises(ShardError):
        slices_of(shard, Slicing(), first=49)


@pytest.mark.parametrize("table", [table_of([]), table_of(["a"]).slice(1)])
def test_no_rows_no_slices(tmp_path: Path, table: pa.Table) -> None:
    assert slices_of(shard_of(tmp_path / "a.parquet", table), Slicing()) == []


def test_no_row_groups(tmp_path: Path) -> None:
    with pq.ParquetWriter(tmp_path / "a.parquet", table_of([]).schema):
        pass
    assert slices_of(list_shards(str(tmp_path))[0], Slicing()) == []


@pytest.mark.parametrize(
    ("slicing", "cuts"),
    [
        (Slicing(max_rows=90), [(0, 90), (90, 90), (180, 90), (270, 90), (360, 90)]),
        (Slicing(max_rows=100), [(0, 100), (100, 100), (200, 100), (300, 100), (400, 100)]),
        (Slicing(max_bytes=400), [(row, 1) for row in range(500)]),
        (Slicing(max_rows=501), []),
    ],
    ids=["rows are left over", "the last slice ends at the break", "each row is a slice", "no slice is whole"],
)
def test_a_shard_that_breaks_midway_gives_each_whole_slice_before(
    tmp_path: Path, slicing: Slicing, cuts: list[tuple[int, int]]
) -> None:
    path = tmp_path / "a.parquet"
    texts = [f"{i} {'x' * 500}" for i in range(1000)]
    pq.write_table(table_of(texts), path, row_group_size=100, compression="none", use_dictionary=False)
    begin = pq.read_metadata(path).row_group(5).column(0).data_page_offset
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(b"\xff" * 40_000)
    stream = read_slices(list_shards(str(path))[0], 0, 1000, reading("text", slicing=slicing))
    seen = []
    for _ in cuts:
        first, part = next(stream)
        assert part["text"].to_pylist() == texts[first : first + part.num_rows]
        seen.append((first, part.num_rows))
    with pytest.raises(ShardError, match=r"a\.parquet can't be read as Parquet"):
        next(stream)
    assert seen == cuts


def test_a_shard_that_changes_midway_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    shard = shard_of(path, table_of(["a"] * 100))
    stream = read_slices(shard, 0, 100, reading("text", slicing=Slicing(max_rows=10)))
    assert next(stream)[0] == 0
    pq.write_table(table_of(["b"] * 100), path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ShardError, match=r"a\.parquet was changed after it was listed"):
        next(stream)


def test_a_shard_that_is_gone(tmp_path: Path) -> None:
    shard = shard_of(tmp_path / "a.parquet", table_of(["a"]))
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(ShardError, match=r"a\.parquet was removed after it was listed"):
        slices_of(shard, Slicing(), stop=1)


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    shard = shard_of(tmp_path / "a.parquet", table_of(["a"]))
    with pytest.raises(ShardError, match=r"a\.parquet has no column 'body' \(its columns: id, text\)"):
        list(read_slices(shard, 0, 1, reading("body")))


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["text", "text"])
    shard = shard_of(tmp_path / "a.parquet", table)
    with pytest.raises(ShardError, match="several columns 'text'"):
        list(read_slices(shard, 0, 1, reading("text")))


def test_a_name_with_a_dot_and_a_name_that_begins_alike(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array([{"b": 1}]), "a.b": pa.array(["dot"]), "ab": pa.array(["x"])})
    shard = shard_of(tmp_path / "a.parquet", table)
    [(_, read)] = read_slices(shard, 0, 1, reading("a.b", "a"))
    assert read.to_pylist() == [{"a.b": "dot", "a": {"b": 1}}]


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_text_of_any_type_has_the_same_cuts(tmp_path: Path, kind: pa.DataType) -> None:
    texts = ["one", None, "", "två", "one", "5"] * 20
    table = pa.table({"text": pa.array(texts).cast(kind)})
    shard = shard_of(tmp_path / "a.parquet", table, row_group_size=11)
    read = list(read_slices(shard, 0, 120, reading("text", slicing=Slicing(max_bytes=10))))
    assert [t for _, part in read for t in part["text"].to_pylist()] == texts
    assert [part.num_rows for _, part in read][:4] == [5, 5, 5, 3]  # 3+0+0+4+3, 1+3+0+0+4, 3+1+3+0+0, 4+3+1
    assert read[0][1].schema.field("text").type in (pa.string(), pa.large_string())


def test_nested_columns_come_through(tmp_path: Path) -> None:
    rows = [{"tags": ["a", "b"], "at": {"x": 1, "y": ["é"]}}, {"tags": None, "at": None}, {"tags": [], "at": {"x": 2}}]
    kind = pa.schema(
        [("tags", pa.list_(pa.string())), ("at", pa.struct([("x", pa.int8()), ("y", pa.list_(pa.string()))]))]
    )
    table = pa.Table.from_pylist(rows * 30, kind)
    shard = shard_of(tmp_path / "a.parquet", table, row_group_size=13)
    read = [part for _, part in read_slices(shard, 0, 90, reading("at", "tags", slicing=Slicing(max_rows=8)))]
    assert pa.concat_tables(read) == table.select(["at", "tags"])


def test_a_slice_is_one_chunk_a_column(tmp_path: Path) -> None:
    shard = shard_of(tmp_path / "a.parquet", table_of(["a"] * 50), row_group_size=3)
    [(_, part)] = slices_of(shard, Slicing())
    assert [column.num_chunks for column in part.columns] == [1, 1]


def test_a_network_that_fails_for_a_moment_costs_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of([f"t{i}" for i in range(100)])
    shard = shard_of(tmp_path / "a.parquet", table)
    failures = iter([False, False, True, False, True, False, False, False, False, False, False, False])
    real = slices.check_version

    def check(shard: Shard, storage: Storage) -> None:
        if next(failures):
            raise StoreError("the network is down")
        real(shard, storage)

    monkeypatch.setattr(slices, "check_version", check)
    monkeypatch.setattr(slices, "PAUSES", (0.0, 0.0))
    read = slices_of(shard, Slicing(max_rows=10))
    assert [first for first, _ in read] == list(range(0, 100, 10))
    assert pa.concat_tables(part for _, part in read) == table.select(["text", "id"])


def test_a_network_that_stays_down_stops_the_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = shard_of(tmp_path / "a.parquet", table_of(["a"]))

    def check(shard: Shard, storage: Storage) -> None:
        raise StoreError("the network is down")

    monkeypatch.setattr(slices, "check_version", check)
    monkeypatch.setattr(slices, "PAUSES", (0.0, 0.0))
    with pytest.raises(StoreError, match="down"):
        slices_of(shard, Slicing())


def test_from_s3_as_from_a_disk(output: Location, tmp_path: Path) -> None:
    table = table_of([f"{i} " * (i % 7) for i in range(500)])
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=120)
    output.put("year=1 é/a.parquet", (tmp_path / "a.parquet").read_bytes())
    [shard] = list_shards(output.uri)
    slicing = Slicing(max_rows=64, max_bytes=900)
    here = slices_of(list_shards(str(tmp_path / "a.parquet"))[0], slicing)
    there = slices_of(shard, slicing)
    assert [(first, t.to_pylist()) for first, t in there] == [(first, t.to_pylist()) for first, t in here]
    output.put("year=1 é/a.parquet", b"another")
    with pytest.raises(ShardError, match="was changed"):
        slices_of(shard, slicing, stop=500)


PEAK = """
import sys
from pipelines.spec import Slicing
from pipelines.store.shards import list_shards
from pipelines.store.slices import SliceReading, read_slices
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024
path, rows, stop = sys.argv[1], 0, int(sys.argv[2])
[shard] = list_shards(path)
before = peak()
reading = SliceReading(columns=["id", "text"], slicing=Slicing(), output_row_bytes=1000)
for _, table in read_slices(shard, 0, stop, reading):
    rows += table.num_rows
print(rows, peak() - before)
"""


def growth(path: Path, stop: int) -> tuple[int, int]:
    """Rows read, and by how many bytes the peak of a process grows by reading them."""
    command = [sys.executable, "-c", PEAK, str(path), str(stop)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows, grown = map(int, done.stdout.split())
    return rows, grown


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_a_row_group_of_a_million_rows_streams_in_little_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = pa.array([f"word{i} " * 20 for i in range(1000)])
    text = words.take(pa.array(rng.integers(0, 1000, 1_000_000)))
    table = pa.table({"id": pa.array(np.arange(1_000_000)), "text": text})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=10**6, use_dictionary=False, compression="none")
    assert pq.read_metadata(tmp_path / "a.parquet").num_row_groups == 1
    rows, grown = growth(tmp_path / "a.parquet", 1_000_000)
    assert rows == 1_000_000
    assert (tmp_path / "a.parquet").stat().st_size > 160e6
    assert grown < 110e6, f"{grown / 1e6:.0f} MB"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_large_values_that_repeat_do_not_fill_the_memory(tmp_path: Path) -> None:
    coded = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000), pa.int32()), pa.array(["x" * 10**6]))
    pq.write_table(pa.table({"id": np.arange(20_000), "text": coded}), tmp_path / "a.parquet", store_schema=False)
    rows, grown = growth(tmp_path / "a.parquet", 300)
    assert rows == 300
    assert grown < 400e6, f"{grown / 1e6:.0f} MB, of 1024 rows it would be more than 1000"
