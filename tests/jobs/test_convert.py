"""The job, on real Ray: files of every kind in, a corpus out that the other jobs and other libraries read."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import entry
from jobs.convert import convert
from pipelines.convert_spec import ConvertSpec
from pipelines.errors import ShardError, SpecError
from pipelines.run.convert.conversion import open_conversion
from pipelines.run.order import Order
from pipelines.spec import EmbedSpec
from pipelines.stages.convert import converted
from pipelines.store.lease import hold
from pipelines.store.location import locate
from pipelines.store.shards import list_shards
from tests.saved_dataset import save_splits
from tests.servers import S3Server
from tests.sources import ROOT
from tests.tiny import embed_in_turn, listing, own_data_context, sentence

SPEC = ConvertSpec(shard_rows=20, shard_bytes=10_000)


def run(folder: Path | str, spec: ConvertSpec = SPEC, **more: Any) -> int:
    asked = {"source": f"{folder}/in", "output": f"{folder}/out", "progress": "none"}
    with own_data_context():
        return convert(spec, **asked | more)


def lines(first: int, count: int, **more: Any) -> str:
    rows = ({"id": f"d{n}", "text": sentence(n), "n": n, **more} for n in range(first, first + count))
    return "".join(json.dumps(row) + "\n" for row in rows)


def rows(folder: Path) -> list[dict[str, Any]]:
    tables = [pq.read_table(path) for path in sorted(folder.glob("out/**/[0-9]*-*.parquet"))]
    return [row for table in tables for row in table.to_pylist()]


def report(folder: Path) -> dict[str, Any]:
    path = max((folder / "out/_manta/runs").iterdir(), key=lambda one: one.stat().st_mtime_ns)
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def made(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Files of several kinds, some of them wrong, converted on Ray; and the exit code."""
    folder = tmp_path_factory.mktemp("converted")
    (folder / "in/deep").mkdir(parents=True)
    (folder / "in/a.jsonl").write_text(lines(0, 50, meta={"tags": ["x"]}))
    (folder / "in/b.jsonl.gz").write_bytes(gzip.compress(lines(50, 49).encode() + b'{"id": "d99", "text": canary}\n'))
    (folder / "in/deep/c.csv").write_text('id,text\nc1,"one, ""two""\nthree"\nc2\n')
    (folder / "in/deep/empty.jsonl").touch()
    return folder, run(folder)


def test_every_document_is_there_once(made: tuple[Path, int]) -> None:
    folder, exit_code = made
    assert exit_code == 0
    found = rows(folder)
    assert [row["id"] for row in found] == [f"d{n}" for n in range(99)] + ["c1"]
    assert found[0] == {"id": "d0", "text": sentence(0), "n": 0, "meta": {"tags": ["x"]}}
    assert found[99] == {"id": "c1", "text": 'one, "two"\nthree', "n": None, "meta": None}
    told = report(folder)
    assert (told["rows"], told["documents"], told["exit_code"]) == (100, 102, 0)
    assert told["dead_letters"] == {"it is no JSON: Expecting value": 1, "it has 1 columns, the header 2": 1}
    assert told["phase_seconds"].keys() == {"plan", "start", "convert"}
    sizes = [pq.read_metadata(path).num_rows for path in (folder / "out").glob("*.parquet")]
    assert sum(sizes) == 100
    assert len(sizes) > 4
    assert max(sizes) <= 30
    everything = b"".join(path.read_bytes() for path in (folder / "out/_manta").rglob("*") if path.is_file())
    assert b"canary" not in everything


def test_others_read_it(made: tuple[Path, int], tiny_model: Path, tmp_path: Path) -> None:
    folder, _ = made
    glob = f"{folder}/out/*.parquet"
    assert duckdb.sql(f"select count(*), sum(n), max(meta.tags[1]) from '{glob}'").fetchall() == [(100, 4851, "x")]
    assert polars.scan_parquet(glob).select(polars.col("id").n_unique()).collect().item() == 100
    assert embed_in_turn(EmbedSpec(model=str(tiny_model)), folder / "out", tmp_path / "vectors").exit_code == 0
    found = duckdb.sql(f"select count(distinct id) from '{tmp_path}/vectors/parts/*/*.parquet'").fetchall()
    assert found == [(100,)]


def test_nothing_to_do_needs_no_ray_and_writes_nothing(made: tuple[Path, int]) -> None:
    folder, _ = made
    before = listing(folder)
    script = (
        "import sys, ray; from jobs import entry; from jobs.convert import convert\n"
        "code = convert(**entry.parse(convert, sys.argv[1:]))\n"
        "assert not ray.is_initialized(); assert 'torch' not in sys.modules; sys.exit(code)"
    )
    flags = ["--source", f"{folder}/in", "--output", f"{folder}/out"]
    flags += ["--spec.shard_rows", "20", "--spec.shard_bytes", "10000"]
    nowhere = {**os.environ, "RAY_ADDRESS": "127.0.0.1:9"}  # whoever asks for Ray fails
    told = subprocess.run(
        [sys.executable, "-c", script, *flags], cwd=ROOT, env=nowhere, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert "convert: nothing to do, 4 files were converted before" in told.stdout
    assert listing(folder) == before


def test_new_and_changed_files_alone_are_done(ray_session: None, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    spec = ConvertSpec(shard_rows=10, shard_bytes=500)  # a file is a group
    for number in range(3):
        (tmp_path / f"in/{number}.jsonl").write_text(lines(10 * number, 10))
    assert run(tmp_path, spec) == 0
    before = listing(tmp_path / "out")
    (tmp_path / "in/1.jsonl").write_text(lines(100, 11))
    (tmp_path / "in/3.jsonl").write_text(lines(30, 10))
    (tmp_path / "in/0.jsonl").unlink()
    assert run(tmp_path, spec) == 0
    ids = {row["id"] for row in rows(tmp_path)}
    assert ids == {f"d{n}" for n in (*range(10), *range(20, 40), *range(100, 111))}
    assert len(rows(tmp_path)) == len(ids)
    assert report(tmp_path)["files"] == {"there": 3, "new": 2, "changed": 1, "vanished": 1, "begun_again": 0}
    after = listing(tmp_path / "out")
    kept = {key for key in before if key.startswith(("000000-", "000002-"))}
    assert len(kept) >= 2
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}


def test_a_stopped_run_begins_its_files_again(ray_session: None, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jsonl").write_text(lines(0, 100))
    (tmp_path / "in/b.jsonl").write_text(lines(100, 100))
    spec = ConvertSpec(shard_rows=20, shard_bytes=1000)
    assert run(tmp_path, spec) == 0
    whole = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.parquet")}
    (note,) = (tmp_path / "out/_manta/done").glob("000001-*.json")
    note.unlink()  # as where a run was killed
    (tmp_path / "out/000000-00001.parquet").unlink()  # by somebody's hand
    assert run(tmp_path, spec) == 0
    assert report(tmp_path)["files"]["begun_again"] == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.parquet")} == whole


def test_splits_go_to_folders_of_their_own(ray_session: None, tmp_path: Path) -> None:
    train = pa.table({"text": [f"t{n}" for n in range(5)], "label": [0, 1, 0, 1, 0]})
    save_splits(tmp_path / "in", train=train, test=train.slice(3))
    assert run(tmp_path) == 0
    assert pq.read_table(tmp_path / "out/train/000001-00000.parquet")["text"].to_pylist() == train["text"].to_pylist()
    assert pq.read_table(tmp_path / "out/test/000000-00000.parquet").num_rows == 2


def test_what_went_wrong_is_the_exit_code(ray_session: None, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jsonl").write_text(lines(0, 5) + "{\n" * 2)
    assert run(tmp_path) == 3  # 2 of 7
    assert report(tmp_path)["exit_code"] == 3
    assert run(tmp_path, max_dead_letters=0.5) == 0  # done is done
    (tmp_path / "in/b.jsonl").write_text(lines(100, 30) + "{\n" * 1500)
    with pytest.raises(ShardError, match=r"of \d+ documents are dead letters, more .* because it is no JSON"):
        run(tmp_path)
    (tmp_path / "in/b.jsonl.gz").write_bytes(gzip.compress(lines(200, 30).encode())[:-20])
    (tmp_path / "in/b.jsonl").unlink()
    assert run(tmp_path) == 3
    assert list(report(tmp_path)["set_aside"]) == ["b.jsonl.gz"]
    (tmp_path / "in/c.jsonl").write_text(lines(300, 2, late=True))
    assert run(tmp_path) == 3  # a column that no file began with when the output was new
    assert report(tmp_path)["left_out"] == {"late": 2}
    assert {"d300", "d301"} < {row["id"] for row in rows(tmp_path)}


def test_the_command_that_a_refusal_tells_makes_a_corpus(ray_session: None, tmp_path: Path) -> None:
    (tmp_path / "it's.jsonl").write_text(lines(0, 3))
    with pytest.raises(SpecError) as refusal:
        list_shards(str(tmp_path))
    words = shlex.split(str(refusal.value).partition("what converts it: ")[2])
    assert words[:3] == ["python", "-m", "jobs.convert"]
    with own_data_context():
        assert entry.run(convert, words[3:]) == 0
    (shard,) = list_shards(str(tmp_path / "it's.jsonl-corpus"))
    assert pq.read_table(shard.uri)["id"].to_pylist() == ["d0", "d1", "d2"]


def test_one_run_at_a_time(made: tuple[Path, int], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = made
    flags = ["--source", f"{folder}/in", "--output", f"{folder}/out", "--progress", "none"]
    flags += ["--spec.shard_rows", "20", "--spec.shard_bytes", "10000"]
    with hold(locate(f"{folder}/out"), "another", print):
        assert entry.run(convert, flags) == 4
    assert "is held by run another" in capsys.readouterr().err


def test_from_bucket_to_bucket(s3: S3Server) -> None:
    """In this process, which knows the server's secrets: each group as its task does it."""
    there = locate(f"s3://{s3.bucket()}")
    there.put("in/a.jsonl.gz", gzip.compress(lines(0, 30).encode()))
    there.put("in/b.txt", b"one\ntwo\n")
    spec = ConvertSpec(ids="line", shard_rows=20)
    order = Order(job="convert", documents=f"{there}/in", output=f"{there}/out", progress="none")
    with open_conversion(order, spec) as run:
        for group in run.groups:
            assert list(converted(group, run.conversion))
        assert run.finish().exit_code == 0
    found = [pq.read_table(pa.BufferReader(there.read(f"out/000000-0000{n}.parquet"))) for n in range(2)]
    ids = [f"a.jsonl.gz:{line}" for line in range(1, 31)] + ["b.txt:1", "b.txt:2"]
    assert [table.num_rows for table in found] == [20, 12]
    assert pa.concat_tables(found)["id"].to_pylist() == ids
