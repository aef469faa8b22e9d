"""Other protocols: a real web server to read from, and refusals to write."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import SpecError
from pipelines.store.elsewhere import Elsewhere
from pipelines.store.location import locate
from pipelines.store.shards import list_shards, read_footer


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and tells nobody."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_files_behind_a_web_server(web: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"1234")
    location = locate(f"{web}/a.bin")
    location.check()
    there = location.stat()
    assert there is not None
    assert (there.key, there.size) == ("a.bin", 4)
    assert location.read() == b"1234"
    filesystem, path = location.arrow()
    assert filesystem.open_input_file(path).read() == b"1234"


def test_a_signature_shows_nowhere(web: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    [shard] = list_shards(f"{web}/a.parquet?signature=hunter2/x")
    assert shard.name == "a.parquet"
    assert read_footer(shard).num_rows == 1
    with pytest.raises(SpecError) as refusal:
        locate(f"{web}/b.parquet?signature=hunter2").check()
    assert "hunter2" not in str(refusal.value)


def test_a_missing_file_and_a_closed_port(web: str) -> None:
    with pytest.raises(SpecError, match=r"/missing: there is nothing there"):
        locate(f"{web}/missing").check()
    with pytest.raises(SpecError):
        locate("http://127.0.0.1:9/x").check()


def test_a_folder_behind_a_web_server(web: str, tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "a.bin").write_bytes(b"1234")
    (tmp_path / "x" / "y" / "b.bin").write_bytes(b"12")
    location = locate(f"{web}/x")
    assert [(entry.key, entry.size) for entry in location.list()] == [("a.bin", 4), ("y/b.bin", 2)]
    assert location.join("a.bin").stat() == next(location.list())


def test_what_is_listed_is_what_is_found() -> None:
    fsspec.filesystem("memory").pipe({"/same/a": b"1"})
    assert locate("memory://same/a").stat() == next(locate("memory://same").list())


def test_listing() -> None:
    fsspec.filesystem("memory").pipe({"/list/b/2": b"22", "/list/a": b"1", "/list/bb": b"3"})
    location = locate("memory://list")
    assert [(entry.key, entry.size) for entry in location.list()] == [("a", 1), ("bb", 1), ("b/2", 2)]
    assert [entry.key for entry in location.list("b/")] == ["b/2"]
    assert list(locate("memory://nothing-there").list()) == []


def test_unknown_and_missing_protocols() -> None:
    with pytest.raises(SpecError, match="foo:// can't be read: Protocol not known: foo"):
        locate("foo://x").check()


def test_nothing_is_written() -> None:
    store = Elsewhere("memory")
    attempts = [
        lambda: store.put("/x", "a", b""),
        lambda: store.put_written("/x", "a", lambda path: None),
        lambda: store.put_if("/x", "a", b"", None),
        lambda: store.remove("/x", ["a"]),
        lambda: store.sweep("/x", 0),
        lambda: locate("memory://x").check_output(),
    ]
    for attempt in attempts:
        with pytest.raises(SpecError, match=r"s3://BUCKET/PATH"):
            attempt()
