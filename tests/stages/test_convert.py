"""Groups of files to shards, in this process: what is in them, what is beside them, what the receipts say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.convert_spec import ConvertSpec
from pipelines.errors import StoreError
from pipelines.stages import convert as stage
from pipelines.stages.convert import Conversion, GroupSource, Receipt, converted, receipts_of
from pipelines.stages.record_columns import columns_of
from pipelines.store.conversion import Done, Group, plan_groups
from pipelines.store.location import locate
from pipelines.store.sources import list_sources
from tests.saved_dataset import save_dataset

SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("n", pa.int64())])


def conversion(output: Path, schema: pa.Schema = SCHEMA, **fields: Any) -> Conversion:
    spec = ConvertSpec(**fields)
    columns = columns_of({"x": schema}, spec)
    return Conversion(spec=spec, columns=columns, output=locate(str(output)), metadata={"manta.job": "convert"})


def group_of(folder: Path) -> Group:
    (group,) = plan_groups({"": [source.file for source in list_sources(str(folder))]}, 0, 2**40)
    return group


def done(group: Group, how: Conversion) -> list[Receipt]:
    return [receipt for table in converted(group, how) for receipt in receipts_of(table)]


def noted(group: Group, how: Conversion, num_shards: int) -> Done:
    return Done(**json.loads(how.output.read(group.done_key(num_shards))))


def write_lines(path: Path, first: int, count: int) -> None:
    path.parent.mkdir(exist_ok=True)
    rows = ({"id": f"d{n}", "text": f"text {n}", "n": n} for n in range(first, first + count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_shards_go_on_from_file_to_file(tmp_path: Path) -> None:
    for number in range(3):
        write_lines(tmp_path / f"in/{number}.jsonl", 10 * number, 10)
    (tmp_path / "in/1a.jsonl").touch()
    with (tmp_path / "in/1.jsonl").open("a") as more:
        more.write('{"id": "x", "text": \n{"id": "y", "text": "t", "n": 1, "late": 2}\n')
    group, how = group_of(tmp_path / "in"), conversion(tmp_path / "out", shard_rows=12)
    receipts = done(group, how)
    keys = [f"000000-0000{number}.parquet" for number in range(3)]
    assert [(one.key, one.num_rows) for one in receipts] == [(keys[0], 12), (keys[1], 12), (keys[2], 7), ("", 0)]
    assert sum(one.reasons.get("it is no JSON: Expecting value", 0) for one in receipts) == 1
    assert receipts[-1].left_out == {"late": 1}
    table = pa.concat_tables(pq.read_table(tmp_path / "out" / key) for key in keys)
    expected = [f"d{n}" for n in range(20)] + ["y"] + [f"d{n}" for n in range(20, 30)]
    assert table["id"].to_pylist() == expected
    assert table.schema.names == ["id", "text", "n"]
    assert table.schema.metadata[b"manta.job"] == b"convert"
    first = pq.read_metadata(tmp_path / "out" / keys[0]).row_group(0)
    bounds = [first.column(place).statistics for place in range(3)]
    assert (bounds[0].min, bounds[1], bounds[2].max) == ("d0", None, 11)
    (letter,) = pq.read_table(tmp_path / "out/_manta/dead_letters/000000.parquet").to_pylist()
    assert letter == {"file": "1.jsonl", "line": 11, "reason": "it is no JSON: Expecting value"}
    told = noted(group, how, 3)
    assert (told.shards, told.num_dead_letters, told.set_aside) == (dict(zip(keys, (12, 12, 7), strict=True)), 1, {})


def test_a_group_done_again_gives_the_same_bytes(tmp_path: Path) -> None:
    write_lines(tmp_path / "in/a.jsonl", 0, 50)
    group, how = group_of(tmp_path / "in"), conversion(tmp_path / "out", shard_rows=20)
    done(group, how)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.parquet")}
    done(group, how)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.parquet")}
    assert len(before) == 3


def test_a_file_that_breaks_ends_there_and_the_next_goes_on(tmp_path: Path) -> None:
    write_lines(tmp_path / "in/a.jsonl", 0, 3000)
    whole = pa.Codec("gzip").compress((tmp_path / "in/a.jsonl").read_bytes()).to_pybytes()
    (tmp_path / "in/a.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    write_lines(tmp_path / "in/a.jsonl", 0, 1)
    write_lines(tmp_path / "in/b.jsonl", 9000, 1)
    group, how = group_of(tmp_path / "in"), conversion(tmp_path / "out")
    receipts = done(group, how)
    assert list(receipts[-1].set_aside) == ["a.jsonl.gz"]
    assert "a.jsonl.gz can't be read to its end" in receipts[-1].set_aside["a.jsonl.gz"]
    ids = pq.read_table(tmp_path / "out/000000-00000.parquet")["id"].to_pylist()
    assert ids[0] == "d0"
    assert ids[-1] == "d9000"
    assert ids[1:-1] == [f"d{n}" for n in range(len(ids) - 2)]
    assert noted(group, how, 1).set_aside == receipts[-1].set_aside


def test_row_groups_are_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "GROUP_ROWS", 2048)
    write_lines(tmp_path / "in/a.jsonl", 0, 5000)
    done(group_of(tmp_path / "in"), conversion(tmp_path / "out"))
    footer = pq.read_metadata(tmp_path / "out/000000-00000.parquet")
    assert [footer.row_group(n).num_rows for n in range(footer.num_row_groups)] == [2048, 2048, 904]


def test_a_saved_dataset_keeps_the_names_of_its_classes(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b", "c"], "label": [0, 1, 0]})
    save_dataset(tmp_path / "in", table, table.slice(1))
    sources = list_sources(str(tmp_path / "in"))
    schema = pa.ipc.open_stream(sources[0].file.uri).schema
    group, how = group_of(tmp_path / "in"), conversion(tmp_path / "out", schema)
    done(group, how)
    found = pq.read_table(tmp_path / "out/000000-00000.parquet")
    one, two = ("data-00000-of-00002.arrow", "data-00001-of-00002.arrow")
    assert found["id"].to_pylist() == [f"{one}:1", f"{one}:2", f"{one}:3", f"{two}:1", f"{two}:2"]
    assert found["label"].to_pylist() == [0, 1, 0, 1, 0]
    features = json.loads(found.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["label"]["names"] == ["sad", "glad"]


def test_a_failing_world_is_no_fault_of_the_file(tmp_path: Path) -> None:
    write_lines(tmp_path / "in/a.jsonl", 0, 5)
    group, how = group_of(tmp_path / "in"), conversion(tmp_path / "in/a.jsonl")  # no folder can be made there
    with pytest.raises(StoreError):
        done(group, how)


def test_a_task_is_a_group(tmp_path: Path) -> None:
    write_lines(tmp_path / "in/a.jsonl", 0, 5)
    group, how = group_of(tmp_path / "in"), conversion(tmp_path / "out")
    (task,) = GroupSource([group], how).get_read_tasks(7)
    assert list(task.metadata.input_files) == ["a.jsonl"]
    assert [receipts_of(table)[0].num_rows for table in task()] == [5, 0]
