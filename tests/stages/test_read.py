"""Shards to slices: every row of a stretch once, a break ends its own stretch alone."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st
from ray.data import DataContext

from pipelines.errors import StoreError
from pipelines.schema import SliceHeader, unfold
from pipelines.spec import EmbedSpec, Slicing
from pipelines.stages.documents import TEXT, columns_for
from pipelines.stages.read import Reading, SliceSource, Stretch, group, read, slices_of
from pipelines.stages.slicewise import ROW
from pipelines.store.shards import Shard, list_shards, read_footer
from tests.tiny import write_shard


def reading(shard: Shard, max_rows: int = 4, **fields: object) -> Reading:
    spec = EmbedSpec(model="m", **fields)  # type: ignore[arg-type]
    columns = columns_for(spec, read_footer(shard).schema)
    return Reading(columns=columns, slicing=Slicing(max_rows=max_rows), output_row_bytes=100)


def told(slices: list[tuple[pa.Table, SliceHeader]]) -> list[tuple[str, int, int, str]]:
    return [(head.shard, head.first_row, head.num_documents, head.error) for _, head in slices]


@pytest.fixture
def shards(tmp_path: Path) -> list[Shard]:
    write_shard(tmp_path / "a.parquet", 10)
    write_shard(tmp_path / "b.parquet", 3, first=100)
    return list_shards(str(tmp_path))


def stretch(shard: Shard, first_row: int = 0, stop_row: int = 10) -> Stretch:
    return Stretch(shard=shard, first_row=first_row, stop_row=stop_row)


def test_stretches_become_slices_of_documents(shards: list[Shard]) -> None:
    todo = [stretch(shards[0], 2, 9), stretch(shards[1], 0, 3)]
    slices = [unfold(folded) for folded in slices_of(todo, reading(shards[0]))]
    assert told(slices) == [("a.parquet", 2, 4, ""), ("a.parquet", 6, 3, ""), ("b.parquet", 0, 3, "")]
    documents, head = slices[1]
    assert documents.column_names == [ROW, "id", TEXT]
    assert documents[ROW].to_pylist() == documents["id"].to_pylist() == [6, 7, 8]
    assert (head.shard_id, head.stats["repeated_ids"]) == (shards[0].shard_id, 0)
    assert head.stats["read_bytes"] > 0


def test_a_shard_that_is_not_what_was_planned_ends_in_an_error_slice(shards: list[Shard], tmp_path: Path) -> None:
    plan = [stretch(shards[0]), stretch(shards[1], 1, 3)]
    write_shard(tmp_path / "a.parquet", 12)
    slices = [unfold(folded) for folded in slices_of(plan, reading(shards[1]))]
    assert told(slices)[1:] == [("b.parquet", 1, 2, "")]
    name, first, count, error = told(slices)[0]
    assert (name, first, count) == ("a.parquet", 0, 10)
    assert error.startswith("a.parquet was changed after it was listed")


@pytest.mark.parametrize(("max_rows", "good_rows"), [(8, [0, 8, 16]), (10, [0, 10, 20])])
def test_a_shard_that_breaks_midway_keeps_the_slices_before(
    tmp_path: Path, max_rows: int, good_rows: list[int]
) -> None:
    table = pa.table({"id": list(range(40)), "text": [f"{n:04}" * 500 for n in range(40)]})
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, row_group_size=10, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    broken = data.find(b"0030" * 500)
    data[broken - 200 : broken + 100] = bytes(300)  # the fourth row group's page header and its first text
    path.write_bytes(bytes(data))
    (shard,) = list_shards(str(path))
    slices = [unfold(folded) for folded in slices_of([stretch(shard, 0, 40)], reading(shard, max_rows))]
    good, (_, bad) = slices[:-1], slices[-1]
    assert [head.first_row for _, head in good] == good_rows
    broken_row = good_rows[-1] + max_rows
    assert (bad.first_row, bad.num_documents) == (broken_row, 40 - broken_row)
    assert "can't be read as Parquet" in bad.error
    assert "0030" not in bad.error


def test_ids_that_cannot_be_cast_midway_end_the_stretch_there(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", 8)
    write_shard(tmp_path / "b.parquet", 8, id=[*"0123456", "x"])
    first, second = list_shards(str(tmp_path))
    slices = [unfold(folded) for folded in slices_of([stretch(second, 0, 8)], reading(first))]
    assert [(head.first_row, head.num_documents, bool(head.error)) for _, head in slices] == [
        (0, 4, False),
        (4, 4, True),
    ]
    assert slices[0][0]["id"].to_pylist() == [0, 1, 2, 3]


def test_a_failure_of_the_world_is_no_fault_of_the_shard(shards: list[Shard], monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Shard("a", "s3://bucket/a", 1, "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody answers there
    monkeypatch.setattr("pipelines.store.slices.PAUSES", ())
    with pytest.raises(StoreError):
        list(slices_of([stretch(nowhere)], reading(shards[0])))


SIZES = st.lists(st.integers(0, 100), max_size=30)


@given(SIZES, st.integers(1, 120), st.integers(1, 5))
def test_groups_hold_each_stretch_once_in_order(sizes: list[int], most_bytes: int, most: int) -> None:
    stretches = [stretch(Shard(str(n), f"/{n}", size, "1")) for n, size in enumerate(sizes)]
    tasks = group(stretches, most_bytes, most)
    assert [one for task in tasks for one in task] == stretches
    for task in tasks:
        assert 1 <= len(task) <= most
        assert len(task) == 1 or sum(one.shard.size for one in task) <= most_bytes


def test_small_shards_share_a_task() -> None:
    sizes = [40, 20, 10, 100, 1]
    stretches = [stretch(Shard(str(n), f"/{n}", size, "1")) for n, size in enumerate(sizes)]
    assert [[one.shard.size for one in task] for task in group(stretches, 64)] == [[40, 20], [10], [100], [1]]


def test_ray_data_gives_the_same_slices_one_a_block(
    ray_session: None, data_context: DataContext, shards: list[Shard]
) -> None:
    todo = [stretch(shards[0]), stretch(shards[1], 0, 3)]
    plain = [unfold(folded) for folded in slices_of(todo, reading(shards[0], 2))]
    data_context.target_max_block_size = 1
    slices = read(todo, reading(shards[0], 2), num_tasks=1, num_cpus=0.5).materialize()
    assert slices.num_blocks() == len(plain) == 7
    blocks = [unfold(block) for block in ray.get(slices.to_arrow_refs())]
    assert sorted(told(blocks)) == sorted(told(plain))
    by_name = {head.name: documents for documents, head in plain}
    assert all(documents.equals(by_name[head.name]) for documents, head in blocks)


def test_the_source_tells_its_size_and_tasks(shards: list[Shard]) -> None:
    source = SliceSource([stretch(shard) for shard in shards], reading(shards[0]))
    assert source.estimate_inmemory_data_size() == sum(shard.size for shard in shards)
    assert len(source.get_read_tasks(200)) == 1
