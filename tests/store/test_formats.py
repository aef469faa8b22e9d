"""The commands that make Parquet of other files are run, as one would type them, and what they made is read."""

from __future__ import annotations

import bz2
import gzip
import os
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

LINES = f'{{"id": "{ID}", "text": "2024-01-01"}}\n{{"id": "007", "text": "two\\nlines"}}\n'.encode()
TABLE = f'id,text\n{ID},2024-01-01\n007,"two\nlines"\n'.encode()
ROWS = [{"id": ID, "text": "2024-01-01"}, {"id": "007", "text": "two\nlines"}]


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data))


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    return bytes(sink.getvalue())


FILES = {
    "a b.jsonl": LINES,
    "a.JSONL.gz": gzip.compress(LINES),
    "a.json.gz": gzip.compress(LINES),
    "a.json": LINES,
    "a.ndjson.zst": zstd(LINES),
    "a'b.csv": TABLE,
    "a.csv.gz": gzip.compress(TABLE),
    "a.tsv": TABLE.replace(b",", b"\t"),
    "a.parquet.gz": gzip.compress(parquet()),
    "a.parquet.zst": zstd(parquet()),
}


def run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a shell does with a command in a folder, where the virtual environment is active."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=os.environ | environment | {"PATH": path}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def test_commands_convert_beside_the_file_and_keep_strings_as_they_are(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "a.parquet").write_bytes(b"a shard that is there")
    command = "\n".join(["set -e", *(conversion(locate(str(tmp_path / name))) for name in FILES)])
    done = run(command, Path("/"))
    assert done.returncode == 0, done.stderr
    found = {name: pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in FILES}
    assert found == dict.fromkeys(FILES, ROWS)
    assert (tmp_path / "a.parquet").read_bytes() == b"a shard that is there"


def test_lines_of_text_are_documents_and_what_is_packed_otherwise_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text('one, two\n\n"three\n')
    (tmp_path / "a.csv.bz2").write_bytes(bz2.compress(TABLE))
    (tmp_path / "part-0.gz").write_bytes(gzip.compress(b"who knows"))
    commands = [conversion(locate(str(tmp_path / name))) for name in ("a.txt", "a.csv.bz2", "part-0.gz")]
    done = run("\n".join(["set -e", *commands]), tmp_path)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "a.txt.parquet").to_pydict() == {"text": ["one, two", "", '"three']}
    assert (tmp_path / "a.csv").read_bytes() == TABLE
    assert (tmp_path / "part-0").read_bytes() == b"who knows"
    assert "FileExistsError" in run(commands[-1], tmp_path).stderr  # nothing is written over


def test_files_from_elsewhere_are_converted_into_the_working_folder(
    s3_server: S3Server, session_bucket: str, tmp_path: Path
) -> None:
    storage = Storage(endpoint=s3_server.endpoint)  # as by --storage.endpoint: the environment does not name it
    secrets = {name: value for name, value in s3_server.environment.items() if "ENDPOINT" not in name}
    for name in ("a.JSONL.gz", "a.parquet.zst"):
        s3_server.client().pipe_file(f"{session_bucket}/formats/{name}", FILES[name])
        done = run(conversion(locate(f"s3://{session_bucket}/formats/{name}", storage)), tmp_path, **secrets)
        assert done.returncode == 0, done.stderr
        assert pq.read_table(tmp_path / f"{name}.parquet").to_pylist() == ROWS


@pytest.mark.parametrize("name", ["a.zip", "a.jsonl.xz", "a.arrow", "a.avro", "a.orc"])
def test_of_some_no_line_makes_parquet(name: str) -> None:
    assert conversion(locate(f"/x/{name}")) == ""


def test_a_signature_is_not_told() -> None:
    assert "hunter2" not in conversion(locate("https://host/a.csv?signature=hunter2"))
