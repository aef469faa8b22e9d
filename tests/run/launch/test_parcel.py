"""What travels to a cluster: the code and the configs of the house, nothing that is made or secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.errors import SpecError
from pipelines.run.launch import parcel
from pipelines.run.launch.parcel import Parcel, pack
from tests.sources import ROOT

MOST_BYTES = 5_000_000


def test_of_the_house_the_code_travels_alone() -> None:
    """The checkout as it is, with the .venv, build/ and caches that it has."""
    found = pack(ROOT)
    assert {"jobs/embed.py", "pipelines/spec.py", "examples/embed-sotu.yaml"} <= found.files.keys()
    rooms = {".git", ".ci", ".venv", "build", "tests", "benchmarks", "dist"}
    assert rooms.isdisjoint(found.by_room)
    kinds = {Path(name).suffix for name in found.files}
    assert kinds.isdisjoint({".parquet", ".safetensors", ".pyc", ".lock", ".arrow", ".jsonl"})
    assert found.num_bytes < MOST_BYTES


def test_what_is_named_stays_here(tmp_path: Path) -> None:
    for name, text in {
        ".rayignore": (ROOT / ".rayignore").read_text(),
        ".gitignore": (ROOT / ".gitignore").read_text(),
        "jobs/embed.py": "12345",
        "mine/code.py": "123",
        "mine/__pycache__/code.pyc": "",
        "build/sotu/a.parquet": "",
        "notes/b.parquet": "",
        ".env": "",
        "mine/.env.local": "",
        "mine/id.pem": "",
        ".git": "gitdir: elsewhere",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    os.symlink(ROOT / "tests", tmp_path / ".venv")
    found = pack(tmp_path)
    assert found.files.keys() == {".rayignore", ".gitignore", "jobs/embed.py", "mine/code.py"}
    assert (found.files["jobs/embed.py"], found.by_room["mine"]) == (5, (1, 3))
    assert [found.holds(name) for name in ("mine", "./mine/", "mine/code.py", "min", "build", ".")] == [
        True, True, True, False, False, True,
    ]  # fmt: skip


def test_rooms_come_by_size() -> None:
    found = Parcel(folder=Path("/x"), files={"a/1": 1, "b/1": 5, "a/2": 2, "c": 4})
    assert list(found.by_room.items()) == [("b", (1, 5)), ("c", (1, 4)), ("a", (2, 3))]
    assert found.num_bytes == 12


def test_what_cannot_travel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="no such folder"):
        pack(tmp_path / "nowhere")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.bin").write_bytes(b"x" * 11)
    monkeypatch.setattr(parcel, "MOST_BYTES", 10)
    with pytest.raises(SpecError, match=r"11 bytes of .* would travel, most of them in data: name it in .rayignore"):
        pack(tmp_path)
