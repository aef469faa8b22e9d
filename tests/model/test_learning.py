from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModel

from pipelines.errors import SpecError
from pipelines.model.dropout import FastDropout
from pipelines.model.learning import LearningModel, may_pack


def model(make_folder: Callable[..., Path], family: str = "Bert", packed: bool = False, **fields: Any) -> LearningModel:
    module = AutoModel.from_pretrained(make_folder(family, fields=fields))
    return LearningModel(module, module, packed=packed)


def test_it_is_packed_where_that_is_asked_for_and_can_be(make_folder: Callable[..., Path]) -> None:
    assert model(make_folder).path == "padded"
    assert model(make_folder, packed=True).path == "packed"
    assert model(make_folder, "MPNet", packed=True).path == "padded"


def test_padded_rows_on_a_cpu_have_the_attention_that_learns_fast(make_folder: Callable[..., Path]) -> None:
    assert model(make_folder).config._attn_implementation == "eager"


def test_dropout_that_packed_rows_lack_is_named(make_folder: Callable[..., Path]) -> None:
    """The kernel of a GPU lacks it; the meta device stands for one here."""
    for share, named in ((0.2, True), (0.0, False)):
        module = AutoModel.from_pretrained(make_folder("Bert", fields={"attention_probs_dropout_prob": share}))
        assert LearningModel(module, module, packed=True).remarks == ()
        remarks = LearningModel(module.to("meta"), module, packed=True).remarks
        assert [f"attention_probs_dropout_prob {share}" in one for one in remarks] == [True] * named


def test_dropout_is_fast_on_a_cpu(make_folder: Callable[..., Path]) -> None:
    made = model(make_folder)
    kinds = {type(child) for child in made.modules() if isinstance(child, nn.Dropout)}
    assert kinds == {FastDropout}


@pytest.mark.parametrize(
    ("device", "precision", "own_class", "packs"),
    [("cpu", "float32", False, True), ("cpu", "bfloat16", True, False), ("cuda", "float32", False, False),
     ("cuda", "bfloat16", False, True)],
)  # fmt: skip
def test_where_rows_are_packed(device: str, precision: Any, own_class: bool, packs: bool) -> None:
    assert may_pack(torch.device(device), precision, own_class=own_class) == packs


def test_a_family_that_can_not_make_its_activations_anew(make_folder: Callable[..., Path]) -> None:
    made = model(make_folder)
    made.compute_activations_again()
    made.module.__class__ = type("Keen", (type(made.module),), {"supports_gradient_checkpointing": False})
    with pytest.raises(SpecError, match="Keen can't make its activations anew"):
        made.compute_activations_again()


def test_what_is_compiled_is_the_network(make_folder: Callable[..., Path]) -> None:
    made = model(make_folder)
    assert made.device == torch.device("cpu")
    made.compile_network()
    assert made.network.module._compiled_call_impl is not None
