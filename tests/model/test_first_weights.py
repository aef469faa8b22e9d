from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertForPreTraining

from pipelines.errors import SpecError
from pipelines.model.architecture import Architecture, read_architecture
from pipelines.model.first_weights import FirstWeights, first_weights
from pipelines.model.folder import ModelFolder
from pipelines.model.token_ids import read_token_ids
from pipelines.store.models import package_folder
from tests.tiny import VOCABULARY

SMALL = {"vocab_size": len(VOCABULARY), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "intermediate_size": 48, "pad_token_id": 0}  # fmt: skip
MASK_HEAD, NEXT_HEAD, ORDER_HEAD = "masked-language-model head", "next-sentence head", "sentence-order head"


class NarrowBert(BertForPreTraining):
    """A class of somebody's own."""


def make(family: str, objective: Any, seed: int = 0, fields: Any = None, **how: Any) -> FirstWeights:
    config = {"model_type": family, **SMALL, **(fields or {})}
    return first_weights(Architecture(name="mine", config=config), objective, seed=seed, **how)


def go_on(path: Path, objective: Any, seed: int = 0) -> FirstWeights:
    return first_weights(read_architecture(path, read_token_ids(path)), objective, seed=seed)


def words(found: FirstWeights) -> torch.Tensor:
    table: torch.Tensor = found.module.get_input_embeddings().weight
    return table


@pytest.mark.parametrize(
    ("family", "objective", "kind"),
    [
        ("bert", "mlm+nsp", "BertForPreTraining"),
        ("bert", "mlm", "BertForMaskedLM"),
        ("albert", "mlm+sop", "AlbertForPreTraining"),
        ("roberta", "mlm", "RobertaForMaskedLM"),
        ("modernbert", "mlm", "ModernBertForMaskedLM"),
        ("gpt2", "causal", "GPT2LMHeadModel"),
        ("t5", "span", "T5ForConditionalGeneration"),
    ],
)
def test_an_objective_has_its_heads(family: str, objective: Any, kind: str) -> None:
    found = make(family, objective)
    assert (type(found.module).__name__, found.new, found.left_out) == (kind, ("all weights",), ())
    assert {weight.dtype for weight in found.module.parameters()} == {torch.float32}


def test_weights_are_a_function_of_the_seed_and_torchs_own_state_stays() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (words(make("bert", "mlm", seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.rand(3), expected)


def test_t5_begins_to_write_after_padding() -> None:
    assert make("t5", "span").module.config.decoder_start_token_id == 0


@pytest.mark.parametrize(
    ("family", "objective", "field"),
    [
        ("bert", "mlm", "attention_probs_dropout_prob"),
        ("albert", "mlm+sop", "classifier_dropout_prob"),
        ("distilbert", "mlm", "dropout"),
        ("modernbert", "mlm", "embedding_dropout"),
        ("gpt2", "causal", "resid_pdrop"),
        ("t5", "span", "dropout_rate"),
    ],
)
def test_dropout_is_set_wherever_a_family_has_it(family: str, objective: Any, field: str) -> None:
    module = make(family, objective, dropout=0.0).module
    assert getattr(module.config, field) == 0
    inputs = {"input_ids": torch.arange(5, 25).reshape(4, 5)}
    if objective == "span":
        inputs["decoder_input_ids"] = inputs["input_ids"]
    module.train()
    assert torch.equal(module(**inputs)[0], module(**inputs)[0])
    assert getattr(make(family, objective, dropout=0.3).module.config, field) == 0.3


def test_going_on_from_a_sentence_model_makes_the_heads(minilm: ModelFolder) -> None:
    found = go_on(minilm.path, "mlm+nsp")
    assert (found.new, found.left_out) == ((MASK_HEAD, NEXT_HEAD), ())
    kept = load_file(minilm.path / "model.safetensors")
    torch.testing.assert_close(words(found), kept["embeddings.word_embeddings.weight"], rtol=0, atol=0)
    torch.testing.assert_close(found.module.bert.pooler.dense.weight, kept["pooler.dense.weight"], rtol=0, atol=0)
    assert found.module.cls.predictions.decoder.weight is words(found)
    heads = [go_on(minilm.path, "mlm+nsp", seed).module.cls.seq_relationship.weight for seed in (0, 1)]
    torch.testing.assert_close(heads[0], found.module.cls.seq_relationship.weight, rtol=0, atol=0)
    assert not torch.equal(*heads)
    without = go_on(minilm.path, "mlm")
    assert (without.new, without.left_out) == ((MASK_HEAD,), ("pooler",))


def test_going_on_from_real_weights_in_older_files() -> None:
    rxnfp = package_folder("package:rxnfp/models/transformers/bert_pretrained")
    found = go_on(rxnfp, "mlm+nsp")
    assert (type(found.module).__name__, found.new, found.left_out) == ("BertForPreTraining", (), ())
    kept = torch.load(rxnfp / "pytorch_model.bin", weights_only=True)
    torch.testing.assert_close(found.module.cls.seq_relationship.weight, kept["cls.seq_relationship.weight"])
    assert go_on(rxnfp, "mlm").left_out == ("pooler", NEXT_HEAD)
    vocabulary = read_token_ids(rxnfp)
    rxnmapper = package_folder("package:rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k")
    architecture = read_architecture(rxnmapper, vocabulary)
    assert first_weights(architecture, "mlm", seed=0).new == ()
    assert first_weights(architecture, "mlm+sop", seed=0).new == (ORDER_HEAD,)


def test_a_checkpoint_in_half_precision_goes_on_in_float32(make_folder: Callable[..., Path]) -> None:
    path = make_folder("Bert", kind="ForMaskedLM")
    weights = {name: weight.bfloat16() for name, weight in load_file(path / "model.safetensors").items()}
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    assert {weight.dtype for weight in go_on(path, "mlm").module.parameters()} == {torch.float32}


def test_weights_that_a_network_lacks_are_refused(make_folder: Callable[..., Path]) -> None:
    path = make_folder("Bert", kind="ForMaskedLM")
    weights = load_file(path / "model.safetensors")
    del weights["bert.encoder.layer.1.output.dense.weight"]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SpecError, match=r"lacks 1 weights such as bert\.encoder\.layer\.1\.output\.dense\.weight"):
        go_on(path, "mlm")


def test_weights_of_other_shapes_are_refused(make_folder: Callable[..., Path]) -> None:
    path = make_folder("Bert", kind="ForMaskedLM")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "intermediate_size": 64}))
    with pytest.raises(SpecError, match=r"9 weights such as bert\.encoder\.layer\.0\.intermediate\.dense\.bias in "):
        go_on(path, "mlm")


def test_a_broken_checkpoint_is_refused(make_folder: Callable[..., Path]) -> None:
    path = make_folder("Bert", kind="ForMaskedLM")
    (path / "model.safetensors").unlink()
    with pytest.raises(SpecError, match="makes no network"):
        go_on(path, "mlm")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"model_type": "no-such"}, "ValueError: Unrecognized model identifier: no-such"),
        ({"num_attention_heads": 5}, "ValueError: The hidden size"),
        ({"hidden_size": "big"}, "Field 'hidden_size' expected int, got str"),
        ({"hidden_size": -4}, "RuntimeError: Trying to create tensor with negative dimension -4"),
        ({"hidden_act": "gulp"}, "KeyError: 'gulp'"),
    ],
)
def test_a_config_that_makes_no_network_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match="mine makes no network") as refusal:
        make("bert", "mlm", fields=fields)
    assert told in str(refusal.value)
    assert str(refusal.value).endswith(": mend its config or its weights")


def test_a_class_of_ones_own(make_folder: Callable[..., Path]) -> None:
    name = f"{__name__}.NarrowBert"
    assert type(make("bert", "mlm+nsp", model_class=name).module) is NarrowBert
    path = make_folder("Bert", kind="ForPreTraining")
    architecture = read_architecture(path, read_token_ids(path))
    found = first_weights(architecture, "mlm+nsp", seed=0, model_class=name)
    assert (type(found.module), found.new) == (NarrowBert, ())
