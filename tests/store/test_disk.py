"""Files on a disk: whole or not at all, also when the disk is full or the process is killed."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.errors import SpecError, StoreError
from pipelines.store.disk import ASIDE, Disk
from pipelines.store.entry import Conflict
from pipelines.store.location import locate
from tests.children import as_nobody

ROOT = Path(__file__).resolve().parents[2]
KEY = "parts/a/0-1.parquet"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_put_leaves_nothing_aside(tmp_path: Path) -> None:
    entry = Disk().put(str(tmp_path), KEY, b"abc")
    assert files(tmp_path) == [KEY]
    assert (entry.key, entry.size, entry.version) == (KEY, 3, str((tmp_path / KEY).stat().st_mtime_ns))


def test_each_put_is_a_version(tmp_path: Path) -> None:
    versions = [Disk().put(str(tmp_path), KEY, b"%03d" % number).version for number in range(100)]
    assert len(set(versions)) == 100


def test_the_same_bytes_again_are_the_same_version(tmp_path: Path) -> None:
    """A writer that was killed between its put and its word of it does it again, when others know of the first."""
    first = Disk().put(str(tmp_path), KEY, b"abc")
    assert Disk().put(str(tmp_path), KEY, b"abc") == first
    assert Disk().put(str(tmp_path), KEY, b"abd").version != first.version
    assert (tmp_path / KEY).read_bytes() == b"abd"


def test_a_file_that_may_not_grow_so_large_leaves_no_part(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(StoreError, match=r"0-1\.parquet: the file would be larger than allowed here"):
            locate(str(tmp_path)).put(KEY, b"x" * 1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert files(tmp_path) == []


def test_a_full_disk_is_said_in_one_line_and_leaves_no_part() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no device that is always full")
    with pytest.raises(OSError, match="No space left") as error, full.open("wb", buffering=0) as file:
        file.write(b"x")
    from pipelines.store.failures import explain

    assert explain(error.value) == "the disk is full: make room and run again"


def test_an_old_file_stays_where_a_put_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = locate(str(tmp_path))
    output.put(KEY, b"old")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError):
        output.put(KEY, b"new")
    assert output.read(KEY) == b"old"
    assert files(tmp_path) == [KEY]


PUT = """
import sys
from pipelines.store.location import locate
location = locate(sys.argv[1])
print("ready", flush=True)
while True:
    location.put(sys.argv[2], bytes(int(sys.argv[3])))
    location.remove([sys.argv[2]])
"""


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03])
def test_a_kill_in_the_middle_of_a_put_leaves_no_part(tmp_path: Path, delay: float) -> None:
    size = 64 * 2**20
    child = subprocess.Popen(
        [sys.executable, "-c", PUT, str(tmp_path), KEY, str(size)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    until = time.monotonic() + 30
    while not any(path.stat().st_size for path in (tmp_path / ASIDE).glob("*")):
        assert time.monotonic() < until
    time.sleep(delay)
    child.kill()
    child.wait()
    output = locate(str(tmp_path))
    assert [entry.size for entry in output.list("parts/")] in ([], [size])
    output.sweep(min_age_seconds=0)
    assert list(output.list("_manta/tmp/")) == []


def test_a_sweep_leaves_the_lock_and_what_is_young(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    output.put_if("lease.json", b"1", None)
    (tmp_path / ASIDE / "young").write_bytes(b"1")
    output.sweep(min_age_seconds=60)
    assert files(tmp_path / ASIDE) == ["lock", "young"]
    time.sleep(0.01)
    output.sweep(min_age_seconds=0)
    assert files(tmp_path / ASIDE) == ["lock"]


def test_a_clock_that_stands_still_makes_no_two_versions_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    one = Disk().put_if(str(tmp_path), "a", b"1", None)
    two = Disk().put_if(str(tmp_path), "a", b"2", one)
    assert one != two
    with pytest.raises(Conflict):
        Disk().put_if(str(tmp_path), "a", b"3", one)


def test_removal_prunes_empty_folders_but_never_the_root(tmp_path: Path) -> None:
    disk = Disk()
    disk.put(str(tmp_path), KEY, b"1")
    disk.put(str(tmp_path), "parts/b/0-1.parquet", b"1")
    (tmp_path / ASIDE).rmdir()
    (tmp_path / "_manta").rmdir()
    disk.remove(str(tmp_path), [KEY, "parts/gone"])
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["b"]
    disk.remove(str(tmp_path), ["parts/b/0-1.parquet"])
    assert list(tmp_path.iterdir()) == []


def test_an_output_must_be_a_folder_that_can_be_written(tmp_path: Path) -> None:
    locate(str(tmp_path / "new" / "folder")).check_output()
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SpecError, match="file is a file; name another"):
        locate(str(tmp_path / "file" / "x")).check_output()


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder that everybody may read and nobody may write, without folders above it that are closed as well."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


def test_a_folder_that_may_not_be_written_is_refused_before_the_run(closed: Path) -> None:
    def refused() -> None:
        for output in (closed, closed / "x"):
            with pytest.raises(SpecError, match="may not write"):
                locate(str(output)).check_output()

    as_nobody(refused)


def test_a_folder_that_may_not_be_written_any_more_stops_the_run(closed: Path) -> None:
    def stopped() -> None:
        with pytest.raises(StoreError, match="this user may not"):
            locate(str(closed)).put("a", b"")

    as_nobody(stopped)
    assert list(closed.iterdir()) == []
