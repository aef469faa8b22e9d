import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines.errors import SpecError
from pipelines.model.weights import read_weights

ONE, TWO = {"a": torch.arange(3.0)}, {"b": torch.ones(2, 2, dtype=torch.bfloat16)}


def same(found: object, expected: dict[str, torch.Tensor]) -> bool:
    assert isinstance(found, dict)
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def test_one_file_is_read_before_a_pickle(tmp_path: Path) -> None:
    torch.save({**TWO, "step": 5}, tmp_path / "pytorch_model.bin")
    assert same(read_weights(tmp_path), TWO)  # what is no tensor is left out
    save_file(ONE, tmp_path / "model.safetensors")
    assert same(read_weights(tmp_path), ONE)


def test_several_files(tmp_path: Path) -> None:
    save_file(ONE, tmp_path / "1.safetensors")
    save_file(TWO, tmp_path / "2.safetensors")
    index = {"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert same(read_weights(tmp_path), ONE | TWO)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"has no model\.safetensors: fetch the model again"):
        read_weights(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_files_that_are_no_weights(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(SpecError, match="do not load"):
        read_weights(tmp_path)


def test_pickles_that_run_code_are_refused(tmp_path: Path) -> None:
    import pickle

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(print, protocol=2))
    with pytest.raises(SpecError, match="do not load"):
        read_weights(tmp_path)
