from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipelines.errors import SpecError
from pipelines.model.folder import read_folder
from pipelines.model.heads import load_heads

DENSE = {"in_features": 32, "out_features": 3, "activation_function": "torch.nn.modules.linear.Identity"}


def test_modules_are_applied_in_order(make_folder: Callable[..., Path]) -> None:
    modules = [("Pooling", {}), ("Dense", DENSE), ("Dropout", {"dropout": 0.9}), ("Normalize", {}), ("Normalize", {})]
    folder = read_folder(make_folder(modules=modules))
    heads = load_heads(folder, torch.device("cpu"))
    vectors = torch.randn(4, 32)
    expected = heads[0].linear(vectors)
    torch.testing.assert_close(heads(vectors), expected / expected.norm(dim=1, keepdim=True))
    assert folder.normalize


def test_an_activation_that_is_not_torchs_is_refused(make_folder: Callable[..., Path]) -> None:
    modules = [("Pooling", {}), ("Dense", DENSE | {"activation_function": "os.system"})]
    with pytest.raises(SpecError, match=r"os\.system"):
        load_heads(read_folder(make_folder(modules=modules)), torch.device("cpu"))


def test_pickled_weights_are_loaded_as_weights_only(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder(modules=[("Pooling", {}), ("Dense", DENSE)]))
    heads = load_heads(folder, torch.device("cpu"))
    path = folder.heads[0].path
    (path / "model.safetensors").unlink()
    with pytest.raises(SpecError, match=r"no model\.safetensors"):
        load_heads(folder, torch.device("cpu"))
    torch.save(dict(heads[0].state_dict()), path / "pytorch_model.bin")
    again = load_heads(folder, torch.device("cpu"))
    torch.testing.assert_close(again[0].linear.weight, heads[0].linear.weight)
