from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from examples.shards import publish

TABLE = pa.table({"id": ["a", "b", "c", "d", "e"]})


def test_rows_go_to_the_shards_in_turn(tmp_path: Path) -> None:
    publish(TABLE, tmp_path / "out", "letters", 2)
    shards = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in shards] == ["letters-00-of-02.parquet", "letters-01-of-02.parquet"]
    assert [pq.read_table(path)["id"].to_pylist() for path in shards] == [["a", "c", "e"], ["b", "d"]]


def test_a_file_that_is_the_same_keeps_its_version(tmp_path: Path) -> None:
    publish(TABLE, tmp_path, "letters", 1)
    (path,) = tmp_path.iterdir()
    before = path.stat().st_mtime_ns, path.stat().st_ino
    publish(TABLE, tmp_path, "letters", 1)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    publish(TABLE.slice(1), tmp_path, "letters", 1)
    assert pq.read_table(path)["id"].to_pylist() == ["b", "c", "d", "e"]
