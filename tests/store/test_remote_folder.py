from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipelines.errors import SpecError, StoreError
from pipelines.store import remote_folder
from pipelines.store.location import Location
from pipelines.store.model_files import model_hash
from pipelines.store.remote_folder import RemoteFolder

FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 40, "1_Pooling/config.json": b"{ }"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANTA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote_folder, "COPY_BYTES", 1000)  # the weights come in eleven pieces


@pytest.fixture
def folder(output: Location) -> RemoteFolder:
    for name, data in FILES.items():
        output.put(name, data)
    return RemoteFolder(output)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_it_lists_and_reads(folder: RemoteFolder) -> None:
    assert sorted(folder.names("")) == ["config.json", "model.safetensors"]
    assert folder.names("1_Pooling") == ["1_Pooling/config.json"]
    assert folder.names("2_Normalize") == []
    assert folder.read("1_Pooling/config.json") == b"{ }"


def test_it_hashes_what_is_loaded(folder: RemoteFolder) -> None:
    loaded = {name: sha256(FILES[name]) for name in ("config.json", "model.safetensors")}
    assert folder.hash(code=False) == model_hash(loaded)  # without a modules.json 1_Pooling is not loaded


def test_it_copies_what_is_asked_for(folder: RemoteFolder, tmp_path: Path) -> None:
    wanted = ["1_Pooling/config.json", "model.safetensors"]
    assert folder.copy(wanted, tmp_path / "copy") == {name: sha256(FILES[name]) for name in wanted}
    copied = {str(p.relative_to(tmp_path / "copy")): p.read_bytes() for p in (tmp_path / "copy").rglob("*.*")}
    assert copied == {name: FILES[name] for name in wanted}


def test_a_file_that_vanishes_is_told(folder: RemoteFolder, output: Location, tmp_path: Path) -> None:
    output.remove(["model.safetensors"])
    with pytest.raises(StoreError, match=r"model\.safetensors could not be read"):
        folder.copy(["model.safetensors"], tmp_path)


def test_an_empty_folder_is_no_model(output: Location) -> None:
    with pytest.raises(SpecError, match="nothing is there"):
        RemoteFolder(output)
