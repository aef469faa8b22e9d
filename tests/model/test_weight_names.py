import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines.errors import SpecError
from pipelines.model.weight_names import weight_names
from pipelines.store.models import package_folder

WEIGHTS = {"bert.embeddings.weight": torch.ones(2, 3), "cls.predictions.bias": torch.ones(1)}
INDEX = json.dumps({"weight_map": {"a.weight": "model-00001.safetensors", "b.weight": "model-00002.safetensors"}})


def test_names_in_safetensors(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert weight_names(tmp_path) == set(WEIGHTS)


@pytest.mark.parametrize("kind", ["model.safetensors", "pytorch_model.bin"])
def test_names_of_weights_in_several_files(tmp_path: Path, kind: str) -> None:
    (tmp_path / f"{kind}.index.json").write_text(INDEX)
    assert weight_names(tmp_path) == {"a.weight", "b.weight"}


@pytest.mark.parametrize("zipped", [True, False])
def test_names_in_pickles(tmp_path: Path, zipped: bool) -> None:
    torch.save(WEIGHTS, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert weight_names(tmp_path) >= set(WEIGHTS)


def test_a_real_file_of_an_old_torch() -> None:
    names = weight_names(package_folder("package:rxnfp/models/transformers/bert_pretrained"))
    assert {"bert.encoder.layer.11.output.dense.weight", "cls.seq_relationship.weight"} <= names
    assert "cls.predictions.decoder.bias" not in names


def test_pickles_are_not_run(tmp_path: Path) -> None:
    import pickle

    class Spy:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.write_text, (tmp_path / "spied", "a.b")

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Spy(), protocol=2) * 4)
    assert "a.b" in weight_names(tmp_path)
    assert not (tmp_path / "spied").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "model.safetensors.index.json"])
def test_what_is_no_file_of_weights_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match=r"has no model\.safetensors"):
        weight_names(tmp_path)
    (tmp_path / name).write_bytes(b"version https://git-lfs.example/spec/v1")
    with pytest.raises(SpecError, match="do not load"):
        weight_names(tmp_path)
