from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

from pipelines.errors import SpecError, StoreError
from pipelines.model.pretraining import PretrainingModel
from pipelines.model.saved_weights import load_weights, save_weights


def make(make_folder: Callable[..., Path], family: str, kind: str, objective: Any, **fields: Any) -> PretrainingModel:
    path = make_folder(family, kind=kind, fields=fields)
    return PretrainingModel(getattr(transformers, f"{family}{kind}").from_pretrained(path), objective)


@pytest.mark.parametrize(
    ("family", "kind", "objective"), [("Bert", "ForPreTraining", "mlm+nsp"), ("GPT2", "LMHeadModel", "causal")]
)
def test_weights_come_back_and_stay_tied(
    make_folder: Callable[..., Path], tmp_path: Path, family: str, kind: str, objective: Any
) -> None:
    model = make(make_folder, family, kind, objective)
    kept = {name: weight.clone() for name, weight in model.module.state_dict().items()}
    save_weights(model, tmp_path / "weights.safetensors")
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    load_weights(model, tmp_path / "weights.safetensors")
    for name, weight in model.module.state_dict().items():
        torch.testing.assert_close(weight, kept[name], rtol=0, atol=0)
    words, head = model.module.get_input_embeddings(), model.module.get_output_embeddings()
    assert words.weight is head.weight


def test_a_tied_weight_is_written_once(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    model = make(make_folder, "Bert", "ForPreTraining", "mlm+nsp")
    save_weights(model, tmp_path / "weights.safetensors")
    numbers = sum(weight.numel() for weight in load_file(tmp_path / "weights.safetensors").values())
    assert numbers == sum(weight.numel() for weight in model.parameters())


def test_weights_of_another_network_are_refused(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(make(make_folder, "Bert", "ForPreTraining", "mlm+nsp"), path)
    other = make(make_folder, "Bert", "ForMaskedLM", "mlm")
    before = [weight.clone() for weight in other.parameters()]
    with pytest.raises(SpecError, match=r"another network \(4 names differ, such as bert.pooler.dense.bias\)"):
        load_weights(other, path)
    wider = make(make_folder, "Bert", "ForPreTraining", "mlm+nsp", intermediate_size=50)
    with pytest.raises(SpecError, match=r"intermediate.dense.weight as \[48, 32\], the network as \[50, 32\]"):
        load_weights(wider, path)
    assert all(torch.equal(old, new) for old, new in zip(before, other.parameters(), strict=True))


def test_a_file_that_is_not_whole_is_told_apart(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    model, path = make(make_folder, "Bert", "ForMaskedLM", "mlm"), tmp_path / "weights.safetensors"
    save_weights(model, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoreError, match=r"do not load .* use an earlier checkpoint"):
        load_weights(model, path)
    with pytest.raises(StoreError, match="do not load"):
        load_weights(model, tmp_path / "none.safetensors")


def test_a_place_that_cannot_be_written(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be written"):
        save_weights(make(make_folder, "Bert", "ForMaskedLM", "mlm"), tmp_path / "no" / "folder.safetensors")
