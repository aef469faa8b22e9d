from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.store.cache import cache_folder, kept


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MANTA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def records(cache: Path) -> list[Path]:
    return sorted((cache / "things").glob("*"))


def test_the_cache_folder_is_that_of_the_environment(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("MANTA_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "manta"


def test_a_record_is_computed_once(cache: Path) -> None:
    assert kept("things", "key", lambda: b"one") == b"one"
    assert kept("things", "key", lambda: b"two") == b"one"
    assert kept("things", "another key", lambda: b"two") == b"two"
    assert kept("others", "key", lambda: b"three") == b"three"
    assert len(records(cache)) == 2  # and nothing is left beside them


def test_what_is_not_to_be_kept_is_not(cache: Path) -> None:
    assert kept("things", "key", lambda: b"one", keep=False) == b"one"
    assert not cache.exists()


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-1], lambda data: data[:-1] + b"?"])
def test_a_damaged_record_counts_as_none(cache: Path, damage: object) -> None:
    kept("things", "key", lambda: b"one")
    record = records(cache)[0]
    record.write_bytes(damage(record.read_bytes()))  # type: ignore[operator]
    assert kept("things", "key", lambda: b"two") == b"two"
    assert kept("things", "key", lambda: b"one") == b"two"


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MANTA_CACHE", str(tmp_path / "file"))
    assert kept("things", "key", lambda: b"one") == b"one"
    assert kept("things", "key", lambda: b"two") == b"two"
