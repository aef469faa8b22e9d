"""The commands that make Parquet of other files: those that unpack are run as typed; jobs.convert has its own tests."""

from __future__ import annotations

import gzip
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.spec import Storage
from pipelines.store.formats import conversion
from pipelines.store.location import locate
from tests.servers import S3Server

ID = "0b8f4a3e-9d52-4c0c-bb5e-0a8f2a4f0c11"
"""An id that looks like a number of some kind, but is a string."""

ROWS = [{"id": ID, "text": "2024-01-01"}, {"id": "007", "text": "two\nlines"}]


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data))


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    return bytes(sink.getvalue())


FILES = {"a.parquet.gz": gzip.compress(parquet()), "a'b.parquet.zst": zstd(parquet())}


def run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a shell does with a command in a folder, where the virtual environment is active."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=os.environ | environment | {"PATH": path}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def test_packed_parquet_is_unpacked_beside_itself(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "a.parquet").write_bytes(b"a shard that is there")
    command = "\n".join(["set -e", *(conversion(locate(str(tmp_path / name))) for name in FILES)])
    done = run(command, Path("/"))
    assert done.returncode == 0, done.stderr
    for name in FILES:
        assert pq.read_table(tmp_path / f"{name}.parquet").to_pylist() == ROWS
    assert (tmp_path / "a.parquet").read_bytes() == b"a shard that is there"


def test_what_is_packed_otherwise_is_unpacked_and_nothing_written_over(tmp_path: Path) -> None:
    (tmp_path / "part-0.gz").write_bytes(gzip.compress(b"who knows"))
    command = conversion(locate(str(tmp_path / "part-0.gz")))
    assert run(command, tmp_path).returncode == 0
    assert (tmp_path / "part-0").read_bytes() == b"who knows"
    assert "FileExistsError" in run(command, tmp_path).stderr


def test_files_from_elsewhere_are_unpacked_into_the_working_folder(
    s3_server: S3Server, session_bucket: str, tmp_path: Path
) -> None:
    storage = Storage(endpoint=s3_server.endpoint)  # as by --storage.endpoint: the environment does not name it
    secrets = {name: value for name, value in s3_server.environment.items() if "ENDPOINT" not in name}
    s3_server.client().pipe_file(f"{session_bucket}/formats/a.parquet.gz", FILES["a.parquet.gz"])
    done = run(conversion(locate(f"s3://{session_bucket}/formats/a.parquet.gz", storage)), tmp_path, **secrets)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "a.parquet.gz.parquet").to_pylist() == ROWS


@pytest.mark.parametrize("name", ["a b.jsonl", "a.JSONL.gz", "a.ndjson.zst", "a.csv.bz2", "a.txt", "a.arrow", "a.json"])
def test_texts_are_converted_beside_themselves(name: str) -> None:
    source, target = f"/x y/{name}", f"/x y/{name}-corpus"
    words = ["python", "-m", "jobs.convert", "--source", source, "--output", target]
    assert shlex.split(conversion(locate(source))) == words


def test_of_texts_from_elsewhere_the_store_is_told() -> None:
    storage = Storage(endpoint="http://h:1", profile="me")
    assert conversion(locate("s3://b/in/a.csv.gz", storage)) == (
        "python -m jobs.convert --source s3://b/in/a.csv.gz --output a.csv.gz-corpus "
        "--storage.endpoint http://h:1 --storage.profile me"
    )


@pytest.mark.parametrize("name", ["a.zip", "a.jsonl.xz", "a.avro", "a.orc"])
def test_of_some_no_line_makes_parquet(name: str) -> None:
    assert conversion(locate(f"/x/{name}")) == ""


def test_a_signature_is_not_told() -> None:
    assert "hunter2" not in conversion(locate("https://host/a.csv?signature=hunter2"))
