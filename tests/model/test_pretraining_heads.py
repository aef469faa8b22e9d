"""Heads against the logits of transformers' own modules, of which they are made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from pipelines.errors import SpecError
from pipelines.model.pretraining_heads import mask_logits, next_logits, output_bias, sentence_logits
from tests.tiny import VOCABULARY

HIDDEN = torch.randn(5, 32, generator=torch.Generator().manual_seed(4))


def load(path: Path, name: str) -> Any:
    return getattr(transformers, name).from_pretrained(path).eval()


@pytest.mark.parametrize(
    ("family", "head"),
    [("Bert", "cls"), ("Roberta", "lm_head"), ("Albert", "predictions"), ("MPNet", "lm_head"), ("DebertaV2", "cls")],
)
def test_logits_at_masks(make_folder: Callable[..., Path], family: str, head: str) -> None:
    module = load(make_folder(family, kind="ForMaskedLM"), f"{family}ForMaskedLM")
    torch.testing.assert_close(mask_logits(module)(HIDDEN), getattr(module, head)(HIDDEN))


def test_a_newer_deberta_decodes_by_its_word_embeddings(make_folder: Callable[..., Path]) -> None:
    path = make_folder("DebertaV2", kind="ForMaskedLM", fields={"legacy": False})
    module = load(path, "DebertaV2ForMaskedLM")
    expected = module.lm_predictions(HIDDEN, module.deberta.embeddings.word_embeddings)
    torch.testing.assert_close(mask_logits(module)(HIDDEN), expected)
    assert output_bias(module) is module.lm_predictions.lm_head.bias


def test_logits_of_sentences(make_folder: Callable[..., Path]) -> None:
    bert = load(make_folder("Bert", kind="ForPreTraining"), "BertForPreTraining")
    pooled = torch.tanh(bert.bert.pooler.dense(HIDDEN))
    torch.testing.assert_close(sentence_logits(bert)(HIDDEN), bert.cls.seq_relationship(pooled))
    albert = load(make_folder("Albert", kind="ForPreTraining"), "AlbertForPreTraining")
    pooled = torch.tanh(albert.albert.pooler(HIDDEN))
    torch.testing.assert_close(sentence_logits(albert)(HIDDEN), albert.sop_classifier(pooled))


def test_a_module_without_a_head_for_sentences_is_refused(make_folder: Callable[..., Path]) -> None:
    masked = load(make_folder("Bert", kind="ForMaskedLM"), "BertForMaskedLM")
    with pytest.raises(SpecError, match="BertForMaskedLM has no head for two segments that is known here: derive it"):
        sentence_logits(masked)


def test_logits_of_the_next_token(make_folder: Callable[..., Path]) -> None:
    gpt = load(make_folder("GPT2", kind="LMHeadModel"), "GPT2LMHeadModel")
    torch.testing.assert_close(next_logits(gpt)(HIDDEN), HIDDEN @ gpt.transformer.wte.weight.T)
    assert output_bias(gpt) is None


@pytest.mark.parametrize("family", ["Bert", "Roberta", "DistilBert", "Albert", "Electra", "MPNet", "ModernBert"])
def test_the_output_bias_is_added_to_the_logits(make_folder: Callable[..., Path], family: str) -> None:
    module = load(make_folder(family, kind="ForMaskedLM"), f"{family}ForMaskedLM")
    logits = mask_logits(module)
    before, bias = logits(HIDDEN), output_bias(module)
    assert bias is not None
    with torch.no_grad():
        bias += torch.arange(len(VOCABULARY))
    torch.testing.assert_close(logits(HIDDEN) - before, torch.arange(len(VOCABULARY)).float().expand(5, -1))


def test_a_module_without_the_head_is_refused(make_folder: Callable[..., Path]) -> None:
    with pytest.raises(SpecError, match=r"BertModel has no masked-language-model head.*derive it from"):
        mask_logits(load(make_folder("Bert"), "BertModel"))
    with pytest.raises(SpecError, match="GPT2LMHeadModel has no masked-language-model head"):
        mask_logits(load(make_folder("GPT2", kind="LMHeadModel"), "GPT2LMHeadModel"))
