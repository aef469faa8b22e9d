from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipelines.model.bert_weights import WORDS, BertWeights
from pipelines.model.folder import read_folder
from pipelines.store.models import package_folder

CPU = torch.device("cpu")


def test_a_network_and_what_stands_beside_it() -> None:
    folder = read_folder(package_folder("package:rxnfp/models/transformers/bert_pretrained"))
    weights = BertWeights.read(folder, torch.bfloat16, CPU)
    assert (weights.prefix, weights[WORDS].shape, weights[WORDS].dtype) == ("bert.", (591, 256), torch.bfloat16)
    head = weights.beside(torch.float32).under("cls.")
    assert head["predictions.bias"].dtype == torch.float32
    assert "predictions.bias" in head
    assert "predictions.bias" not in weights
    with pytest.raises(KeyError):
        head["predictions.decoder.bias"]


def test_modules_are_made_of_tensors(make_folder: Callable[..., Path]) -> None:
    weights = BertWeights.read(read_folder(make_folder()), torch.float32, CPU)
    layer = weights.under("encoder.layer.1.")
    linear = layer.linear("intermediate.dense")
    assert (linear.in_features, linear.out_features) == (32, 48)
    assert torch.equal(linear.bias, layer["intermediate.dense.bias"])
    assert layer.norm("output.LayerNorm").eps == 1e-12
    assert weights.beside(torch.float32).prefix == ""
