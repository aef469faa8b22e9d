"""Which files make a model. Folders are dictionaries here: what counts is the names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipelines.errors import SpecError
from pipelines.store.model_files import LocalFolder, What, loaded_files, model_hash


class MemoryFolder:
    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def names(self, folder: str) -> list[str]:
        return [name for name in self._files if name.rpartition("/")[0] == folder]

    def read(self, name: str) -> bytes:
        return self._files[name].encode()

    def __str__(self) -> str:
        return "the folder"


def loaded(files: Mapping[str, str], *, code: bool = False, what: What = "model") -> list[str]:
    return loaded_files(MemoryFolder(files), code=code, what=what)


def modules(*paths: str) -> str:
    return json.dumps([{"idx": i, "path": path, "type": "a.b.C"} for i, path in enumerate(paths)])


def test_config_tokenizer_modules_and_weights_count_and_nothing_else() -> None:
    files = {
        "modules.json": modules("", "1_Pooling", "2_Dense/", "3_Normalize"),
        "config.json": "{}",
        "tokenizer.json": "{}",
        "spiece.model": "",
        "sentence_bert_config.json": "{}",
        "model.safetensors": "",
        "1_Pooling/config.json": "{}",
        "1_Pooling/notes.md": "",
        "2_Dense/config.json": "{}",
        "2_Dense/pytorch_model.bin": "",
        "README.md": "",
        "data_config.json": "{}",
        "tf_model.h5": "",
        "onnx/config.json": "{}",
        "onnx/model.onnx": "",
        "modeling.py": "",
    }
    assert loaded(files) == [
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/pytorch_model.bin",
        "config.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "spiece.model",
        "tokenizer.json",
    ]


def test_code_counts_only_where_it_may_run() -> None:
    files = {"config.json": "{}", "model.safetensors": "", "modeling.py": "", "examples/train.py": ""}
    assert loaded(files, code=True) == ["config.json", "model.safetensors", "modeling.py"]


def test_safetensors_are_preferred() -> None:
    index = json.dumps(
        {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}}
    )
    sharded = {"model.safetensors.index.json": index, "model-1.safetensors": "", "model-2.safetensors": ""}
    binary = {"pytorch_model.bin": ""}
    assert loaded({"model.safetensors": "", **binary}) == ["model.safetensors"]
    assert loaded(sharded | binary) == ["model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json"]
    assert loaded(binary) == ["pytorch_model.bin"]
    assert loaded({"model.safetensors": "", **sharded}) == ["model.safetensors"]


def test_weights_of_a_module_that_is_the_transformer() -> None:
    files = {"modules.json": modules("0_Transformer"), "0_Transformer/config.json": "{}", "0_Transformer/vocab.txt": ""}
    files["0_Transformer/model.safetensors"] = ""
    assert loaded(files) == sorted(files)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"config.json": "{}", "tf_model.h5": ""}, "no model weights"),
        ({"pytorch_model.bin.index.json": '{"weight_map": {"a": "x.bin"}}'}, "lacks 1 of the 1 weight files"),
        ({"model.safetensors.index.json": "[]"}, "no weight_map"),
        ({"model.safetensors.index.json": '{"weight_map": ['}, "is no JSON"),
        ({"model.safetensors": "", "modules.json": "\udcff"}, "is no JSON"),
        ({"model.safetensors": "", "modules.json": '{"a": 1}'}, "no list of modules"),
        ({"model.safetensors": "", "modules.json": modules("../../home")}, "outside"),
        ({"model.safetensors": "", "modules.json": modules("/etc")}, "outside"),
        ({"model.safetensors.index.json": '{"weight_map": {"a": "../x"}}'}, "outside"),
    ],
)
def test_a_folder_that_is_no_model_is_refused(files: Mapping[str, str], says: str) -> None:
    class Raw(MemoryFolder):
        def read(self, name: str) -> bytes:
            return self._files[name].encode(errors="surrogateescape")

    with pytest.raises(SpecError, match=says):
        loaded_files(Raw(files))


def test_the_hash_is_over_sorted_names_and_contents() -> None:
    lines = b"a.json\0" + b"1" * 64 + b"\n" + b"b/c\0" + b"2" * 64 + b"\n"
    assert model_hash({"b/c": "2" * 64, "a.json": "1" * 64}) == hashlib.sha256(lines).hexdigest()
    assert model_hash({"b/c": "1" * 64, "a.json": "2" * 64}) != model_hash({"b/c": "2" * 64, "a.json": "1" * 64})


def test_a_local_folder_lists_files_of_one_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text("{}")
    (tmp_path / "config.json").write_text("[]")
    folder = LocalFolder(tmp_path)
    assert folder.names("") == ["config.json"]
    assert folder.names("1_Pooling") == ["1_Pooling/config.json"]
    assert folder.names("2_Normalize") == []
    assert folder.read("config.json") == b"[]"


def test_of_a_tokenizer_its_own_files_count_and_no_weights() -> None:
    files = {
        "modules.json": modules("", "1_Pooling"),
        "config.json": "{}",
        "tokenizer.json": "{}",
        "tokenizer_config.json": "{}",
        "sentence_bert_config.json": "{}",
        "config_sentence_transformers.json": "{}",
        "model.safetensors": "",
        "1_Pooling/config.json": "{}",
    }
    own = ["modules.json", "sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json"]
    assert loaded(files, what="tokenizer") == own
    assert loaded({"tokenizer.json": "{}"}, what="tokenizer") == ["tokenizer.json"]


def test_an_older_tokenizer_needs_the_config_beside_it() -> None:
    files = {"modules.json": modules("0_T", "1_P"), "0_T/vocab.txt": "", "0_T/config.json": "{}", "1_P/config.json": ""}
    assert loaded(files, what="tokenizer") == ["0_T/config.json", "0_T/vocab.txt", "modules.json"]
    assert loaded({"spiece.model": "", "config.json": "{}"}, what="tokenizer") == ["config.json", "spiece.model"]


def test_a_folder_without_a_tokenizer_is_refused() -> None:
    with pytest.raises(SpecError, match="the folder holds no tokenizer"):
        loaded({"config.json": "{}", "model.safetensors": ""}, what="tokenizer")
