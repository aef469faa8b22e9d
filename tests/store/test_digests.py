from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from pipelines.store import digests
from pipelines.store.digests import file_digest, remembered

ONE, TWO = hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"two").hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MANTA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def records(cache: Path) -> list[Path]:
    return sorted((cache / "digests").glob("*")) if cache.exists() else []


def test_a_digest_is_computed_once() -> None:
    assert remembered("key", lambda: ONE) == ONE
    assert remembered("key", lambda: TWO) == ONE
    assert remembered("another key", lambda: TWO) == TWO


def test_a_file_that_is_settled_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    monkeypatch.setattr(digests, "SETTLED_SECONDS", -1.0)
    assert file_digest(path) == ONE
    monkeypatch.setattr(digests, "content_digest", lambda _: pytest.fail("the file was read again"))
    assert file_digest(path) == ONE


def test_a_file_that_changes_is_read_again_also_with_its_size_and_mtime_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights"
    monkeypatch.setattr(digests, "SETTLED_SECONDS", -1.0)
    path.write_bytes(b"one")
    before = path.stat()
    assert file_digest(path) == ONE
    time.sleep(0.05)  # more than a tick of the file system's clock
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file_digest(path) == TWO


def test_the_digest_of_a_file_that_has_just_changed_is_not_kept(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    assert file_digest(path) == ONE
    assert records(cache) == []
