"""What every store does alike; which URIs name what."""

from __future__ import annotations

import pickle
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.errors import SpecError, StoreError
from pipelines.spec import Storage
from pipelines.store.location import Conflict, Entry, Location, locate

ODD = ["plain", "with space/a b.parquet", "y=2024/l=de/p+1&2.parquet", "ünï/文書/😀.bin", "100%/%41.bin", "a'b\"c/#?.x"]


@pytest.mark.parametrize("key", ODD)
def test_odd_names_come_back_as_they_went(output: Location, key: str) -> None:
    entry = output.put(key, b"1234")
    assert entry == Entry(key, 4, entry.version)
    assert list(output.list()) == [entry]
    assert output.read_versioned(key) == (b"1234", entry.version)
    there = output.stat(key)
    assert there is not None
    assert (there.size, there.version) == (4, entry.version)
    filesystem, path = output.arrow(key)
    assert filesystem.open_input_file(path).read() == b"1234"
    assert output.join(key).read() == b"1234"
    assert output.filesystem().cat_file(output.join(key).path) == b"1234"
    output.remove([key, "missing"])
    assert list(output.list()) == []


def test_a_file_that_is_written_by_others_is_published_whole(output: Location, tmp_path: Path) -> None:
    """Large files never pass through memory: a writer gets a path, a reader too."""
    entry = output.put_written("a/b", lambda path: path.write_bytes(b"1234") and None)
    assert list(output.list()) == [entry]
    assert (entry.key, entry.size) == ("a/b", 4)
    assert output.on_disk("a/b", tmp_path).read_bytes() == b"1234"

    def fail(path: Path) -> None:
        path.write_bytes(b"12")
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="a/b: the disk is full"):
        output.put_written("a/b", fail)
    assert list(output.list()) == [entry]


def test_a_file_on_a_disk_is_not_copied_to_be_opened(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    output.put("a/b", b"1")
    assert output.on_disk("a/b", Path("/nowhere")) == tmp_path / "a/b"


def test_what_is_not_there(output: Location) -> None:
    assert list(output.list()) == list(output.list("parts/")) == []
    assert output.stat("a") is None
    with pytest.raises(FileNotFoundError):
        output.read("a")
    with pytest.raises(SpecError, match="there is nothing there"):
        output.check()
    output.check_output()


def test_a_prefix_is_the_beginning_of_a_key(output: Location) -> None:
    for key in ("parts/1", "parts/2/3", "parts2/1", "spec"):
        output.put(key, b"")
    assert sorted(entry.key for entry in output.list("parts/")) == ["parts/1", "parts/2/3"]
    assert sorted(entry.key for entry in output.list("part")) == ["parts/1", "parts/2/3", "parts2/1"]
    assert sorted(entry.key for entry in output.join("parts").list()) == ["1", "2/3"]


def test_a_folder_is_no_file(output: Location) -> None:
    output.put("a/b", b"")
    assert output.stat("a") is None
    output.join("a").check()
    output.join("a/b").check()


def test_a_put_replaces_and_changes_the_version(output: Location) -> None:
    versions = [output.put("a", data).version for data in (b"1", b"2")]
    assert versions[0] != versions[1]
    assert output.read_versioned("a") == (b"2", versions[1])


def test_conditional_puts(output: Location) -> None:
    one = output.put_if("lease", b"one", None)
    with pytest.raises(Conflict):
        output.put_if("lease", b"other", None)
    two = output.put_if("lease", b"two", one)
    with pytest.raises(Conflict):
        output.put_if("lease", b"other", one)
    assert output.read_versioned("lease") == (b"two", two)
    with pytest.raises(Conflict):
        output.put_if("missing", b"other", two)
    output.remove(["lease"])
    assert output.put_if("lease", b"three", None) != two


def test_of_many_writers_one_wins_each_round(output: Location) -> None:
    def count(_: int) -> int:
        won = 0
        for _ in range(12):
            try:
                data, version = output.read_versioned("n")
                # Whose data these are must show in them: see put_if.
                number = int(data.split()[0]) + 1
                output.put_if("n", f"{number} {uuid.uuid4()}".encode(), version)
                won += 1
            except Conflict:
                pass
        return won

    output.put("n", b"0")
    with ThreadPoolExecutor(3) as pool:
        won = sum(pool.map(count, range(3)))
    assert int(output.read("n").split()[0]) == won > 0


def test_of_many_who_claim_one_wins(output: Location) -> None:
    def claim(worker: int) -> bool:
        try:
            output.put_if("lease", str(worker).encode(), None)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        winners = [worker for worker, won in enumerate(pool.map(claim, range(6))) if won]
    assert [str(worker).encode() for worker in winners] == [output.read("lease")]


def test_a_location_travels(output: Location) -> None:
    output.put("a", b"1")
    travelled = pickle.loads(pickle.dumps(output))
    assert travelled == output
    assert travelled.read("a") == b"1"


@pytest.mark.parametrize(
    ("uri", "expected", "protocol"),
    [
        ("/a/b/", "/a/b", "file"),
        ("file:///a/b", "/a/b", "file"),
        ("/a/../b/./c", "/b/c", "file"),
        ("/a%20b/y=1", "/a%20b/y=1", "file"),
        ("s3://bucket/a b/", "s3://bucket/a b", "s3"),
        ("s3a://bucket", "s3://bucket", "s3"),
        ("S3://bucket/x", "s3://bucket/x", "s3"),
        ("https://host/a.parquet?x=1", "https://host/a.parquet?x=1", "https"),
        ("hf://datasets/a/b", "hf://datasets/a/b", "hf"),
    ],
)
def test_uris(uri: str, expected: str, protocol: str) -> None:
    location = locate(uri)
    assert (location.uri, location.protocol, location.is_local) == (expected, protocol, protocol == "file")


def test_a_relative_path_starts_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert locate("a/b").uri == str(tmp_path / "a" / "b")
    assert locate("~/c").uri == str(tmp_path / "home" / "c")


@pytest.mark.parametrize("uri", ["", "  ", "s3://", "s3:bucket/x", "s3:/bucket/x", "https:/host/x", "file://"])
def test_what_names_no_place_is_refused(uri: str) -> None:
    with pytest.raises(SpecError, match=r"s3://BUCKET/PATH"):
        locate(uri)


@pytest.mark.parametrize("uri", ["s3://../x", "s3:///key", "s3://b cket/x"])
def test_what_names_no_bucket_is_refused(uri: str) -> None:
    with pytest.raises(SpecError, match=r"write s3://BUCKET/PATH"):
        locate(uri)


def test_a_password_in_a_uri_is_refused_and_not_repeated() -> None:
    with pytest.raises(SpecError, match="set it in the environment") as refusal:
        locate("https://user:hunter2@host/x")
    assert "hunter2" not in str(refusal.value)


def test_what_follows_a_question_mark_is_not_shown() -> None:
    assert str(locate("https://host/a.parquet?signature=hunter2")) == "https://host/a.parquet"


def test_join(tmp_path: Path) -> None:
    storage = Storage(region="eu-west-1")
    assert locate("s3://b/a", storage).join("x", "y/z") == Location("s3://b/a/x/y/z", storage)
    assert locate("/").join("x").uri == "/x"
    assert locate(str(tmp_path)).join("a=1", "b c").path == f"{tmp_path}/a=1/b c"


def test_a_bare_path_never_reaches_s3(tmp_path: Path) -> None:
    location = locate(str(tmp_path))
    assert location.filesystem().protocol == ("file", "local")
    assert type(location.arrow()[0]).__name__ == "LocalFileSystem"


def test_our_own_mistakes_stay_our_own(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        locate(str(tmp_path)).put("a", "text")  # type: ignore[arg-type]
