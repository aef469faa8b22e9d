"""Losses of both paths against transformers' own modules, which take one instance at a time and tell every token."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch.nn.functional import cross_entropy

from pipelines.errors import SpecError
from pipelines.model.architecture import Architecture
from pipelines.model.first_weights import first_weights
from pipelines.model.losses import LossSum
from pipelines.model.objectives import TRAINED
from pipelines.model.pretraining import PretrainingModel
from pipelines.text.training_batch import NO_LABEL, TrainingBatch
from tests.model.conftest import training_batch
from tests.tiny import VOCABULARY

LENGTHS = [3, 17, 4, 4, 1, 24, 9]
MASKED = ("Bert", "Roberta", "XLMRoberta", "Camembert", "DistilBert", "Albert", "Electra", "MPNet", "DebertaV2",
          "ModernBert")  # fmt: skip
PADDED_ALONE = ("MPNet", "DebertaV2", "T5")
FIELDS = {"T5": {"decoder_start_token_id": 0}}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
         "max_position_embeddings": 80, "d_kv": 8, "d_ff": 48, "embedding_size": 16}  # fmt: skip
CASES = [
    ("Bert", "ForPreTraining", "mlm+nsp"),
    ("Bert", "ForPreTraining", "mlm+sop"),
    ("Albert", "ForPreTraining", "mlm+sop"),
    ("GPT2", "LMHeadModel", "causal"),
    ("T5", "ForConditionalGeneration", "span"),
    *((family, "ForMaskedLM", "mlm") for family in MASKED),
]


def load(path: Path, **how: Any) -> Any:
    """The module as transformers makes it, its dropout off."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path)
    (name,) = config.architectures
    return getattr(transformers, name).from_pretrained(path, attn_implementation="eager", **how).eval()


def plain_spans(module: Any, batch: TrainingBatch) -> dict[str, torch.Tensor]:
    """The sum by transformers' own loss, a mean, of one instance after another; those without a target left out."""
    assert batch.target_offsets is not None
    rows = zip(np.split(batch.values, batch.offsets[1:-1]), np.split(batch.targets, batch.target_offsets[1:-1]),
               strict=True)  # fmt: skip
    pairs = [(torch.from_numpy(text.astype(np.int64))[None], torch.from_numpy(told)[None]) for text, told in rows]
    losses = [module(input_ids=text, labels=told).loss * told.numel() for text, told in pairs if told.numel()]
    return {"span": torch.stack(losses).sum()}


def plain_losses(module: Any, batch: TrainingBatch) -> dict[str, torch.Tensor]:
    """The sums by whole logits of one instance after another, and transformers' own pooling."""
    if batch.objective == "span":
        return plain_spans(module, batch)
    tokens, sentences = [], []
    for start, stop, second in zip(batch.offsets, batch.offsets[1:], batch.segment_b_start, strict=False):
        ids = torch.from_numpy(batch.values[start:stop].astype(np.int64))[None]
        paired = {"token_type_ids": (torch.arange(stop - start) >= second).long()[None]} if second else {}
        found = module(input_ids=ids, **paired)
        tokens.append(found.get("logits", found.get("prediction_logits"))[0])
        sentences.append(found.get("seq_relationship_logits", found.get("sop_logits", torch.zeros(1, 2))))
    words, _, pairs = batch.objective.partition("+")
    logits, targets = torch.cat(tokens)[batch.positions], torch.from_numpy(batch.targets)
    sums = {"clm" if words == "causal" else words: cross_entropy(logits, targets, reduction="sum")}
    if pairs:
        sums[pairs] = cross_entropy(torch.cat(sentences), torch.from_numpy(batch.sentence_labels), reduction="sum")
    return sums


def gradients(module: Any, losses: dict[str, Any]) -> dict[str, torch.Tensor]:
    sums = [loss.sum if isinstance(loss, LossSum) else loss for loss in losses.values()]
    module.zero_grad()
    torch.stack(sums).sum().backward()
    return {name: weight.grad.clone() for name, weight in module.named_parameters()}


@pytest.mark.parametrize("path", ["padded", "packed"])
@pytest.mark.parametrize(("family", "kind", "objective"), CASES)
def test_losses_and_gradients_are_those_of_one_instance_after_another(
    make_folder: Callable[..., Path], family: str, kind: str, objective: Any, path: str
) -> None:
    fields = {"DebertaV2": {"type_vocab_size": 2}}.get(family, FIELDS.get(family))
    module = load(make_folder(family, kind=kind, fields=fields))
    batch = training_batch(objective, LENGTHS)
    expected = plain_losses(module, batch)
    slopes = gradients(module, expected)
    model = PretrainingModel(module, objective, packed=path == "packed")
    assert model.path == ("padded" if family in PADDED_ALONE else path)
    found = model(batch)
    assert {name: loss.count for name, loss in found.items()} == batch.counts()
    for name, total in expected.items():
        assert total > 1
        torch.testing.assert_close(found[name].sum, total, rtol=1e-5, atol=1e-5)
    for name, slope in gradients(module, found).items():
        torch.testing.assert_close(slope, slopes[name], rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("path", ["padded", "packed"])
def test_the_loss_is_that_of_bert_for_pretraining(make_folder: Callable[..., Path], path: str) -> None:
    """Its loss is the mean over masked tokens and the mean over instances, one added to the other."""
    module = load(make_folder("Bert", kind="ForPreTraining"))
    labels = np.array([0, 1, 1])
    batch = training_batch("mlm+nsp", [8, 8, 8], sentence_labels=labels)
    told = np.full(24, NO_LABEL)
    told[batch.positions] = batch.targets
    ids, types = batch.values.astype(np.int64).reshape(3, 8), np.arange(8) >= batch.segment_b_start[:, None]
    types[batch.segment_b_start == 0] = False
    expected = module(
        input_ids=torch.from_numpy(ids),
        token_type_ids=torch.from_numpy(types.astype(np.int64)),
        labels=torch.from_numpy(told.reshape(3, 8)),
        next_sentence_label=torch.from_numpy(labels),
    ).loss
    found = PretrainingModel(module, "mlm+nsp", packed=path == "packed")(batch)
    means = [loss.sum / loss.count for loss in found.values()]
    torch.testing.assert_close(sum(means), expected, rtol=1e-5, atol=1e-5)


def nothing_told(batch: TrainingBatch) -> TrainingBatch:
    none = np.zeros(0, np.int64)
    spans = {} if batch.target_offsets is None else {"target_offsets": np.zeros(len(batch.offsets), np.int64)}
    labels = np.full(len(batch.offsets) - 1, NO_LABEL)
    return replace(batch, positions=none, targets=none, sentence_labels=labels, **spans)


def no_instances(batch: TrainingBatch) -> TrainingBatch:
    none = np.zeros(0, np.int64)
    return replace(nothing_told(batch), values=none.astype(np.int32), offsets=np.zeros(1, np.int64),
                   segment_b_start=none.astype(np.int32), sentence_labels=none)  # fmt: skip


@pytest.mark.parametrize("path", ["padded", "packed"])
@pytest.mark.parametrize("emptied", [nothing_told, no_instances])
@pytest.mark.parametrize(("family", "kind", "objective"), CASES)
def test_a_batch_that_tells_nothing_has_no_loss_and_no_slope(
    make_folder: Callable[..., Path], family: str, kind: str, objective: Any, emptied: Any, path: str
) -> None:
    module = load(make_folder(family, kind=kind, fields=FIELDS.get(family)))
    model = PretrainingModel(module, objective, packed=path == "packed")
    found = model(emptied(training_batch(objective, LENGTHS)))
    assert all((loss.sum.item(), loss.count, loss.correct.item()) == (0, 0, 0) for loss in found.values())
    assert all((slope == 0).all() for slope in gradients(model, found).values())


def test_what_is_told_right_is_counted(make_folder: Callable[..., Path]) -> None:
    module = load(make_folder("Bert", kind="ForPreTraining"))
    model = PretrainingModel(module, "mlm+nsp")
    batch = training_batch("mlm+nsp", LENGTHS)
    with torch.no_grad():
        module.cls.predictions.bias[7] = 1e4
        module.cls.seq_relationship.bias[:] = torch.tensor([1e4, -1e4])
    sevens = batch.targets.copy()
    sevens[::2] = 7
    labels = np.array([0, 1, NO_LABEL, 0, 0, 1, NO_LABEL])
    found = model(replace(batch, targets=sevens, sentence_labels=labels))
    assert found["mlm"].correct == (sevens == 7).sum()
    assert (found["nsp"].correct, found["nsp"].count) == (3, 5)


@pytest.mark.parametrize("family", [family for family in TRAINED if family not in ("mt5", "umt5", "longt5")])
def test_every_family_learns_a_batch_by_heart(family: str) -> None:
    config = {"model_type": family, "vocab_size": len(VOCABULARY), "pad_token_id": 0, **SMALL}
    objective = TRAINED[family][0]
    module = first_weights(Architecture(name=family, config=config), objective, seed=0, dropout=0.0).module
    model, batch = PretrainingModel(module, objective, packed=True).train(), training_batch(objective, LENGTHS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        means = [loss.sum / loss.count for loss in model(batch).values()]
        torch.stack(means).sum().backward()
        optimizer.step()
        losses.append(torch.stack(means).detach())
    assert (losses[-1] < 0.9 * losses[0]).all()


@pytest.mark.parametrize("path", ["padded", "packed"])
def test_products_in_bfloat16_and_losses_in_float32(make_folder: Callable[..., Path], path: str) -> None:
    model = PretrainingModel(load(make_folder("Bert", kind="ForPreTraining")), "mlm+nsp", packed=path == "packed")
    batch = training_batch("mlm+nsp", LENGTHS)
    exact = model(batch)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(batch)
    for name, loss in found.items():
        assert loss.sum.dtype == torch.float32
        assert loss.sum != exact[name].sum
        torch.testing.assert_close(loss.sum, exact[name].sum, rtol=0.02, atol=0)
    assert {slope.dtype for slope in gradients(model, found).values()} == {torch.float32}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize(("family", "kind", "objective"), CASES)
def test_packed_rows_on_a_gpu_have_the_losses_and_gradients_of_a_cpu(
    make_folder: Callable[..., Path], family: str, kind: str, objective: Any
) -> None:
    module = load(make_folder(family, kind=kind, fields=FIELDS.get(family)))
    batch = training_batch(objective, LENGTHS)
    exact = PretrainingModel(module, objective)(batch)
    slopes = torch.cat([slope.flatten() for slope in gradients(module, exact).values()])
    model = PretrainingModel(module.cuda(), objective, packed=True)
    assert model.path == ("padded" if family in PADDED_ALONE else "packed")
    with torch.autocast("cuda", torch.bfloat16):
        found = model(batch)
    for name, loss in found.items():
        torch.testing.assert_close(loss.sum.cpu(), exact[name].sum, rtol=0.03, atol=0)
    close = torch.cat([slope.flatten() for slope in gradients(module, found).values()]).cpu()
    assert torch.cosine_similarity(slopes, close, 0) > 0.97


def test_activations_made_anew_give_the_same_gradients(make_folder: Callable[..., Path]) -> None:
    module = load(make_folder("Bert", kind="ForPreTraining", fields={"hidden_dropout_prob": 0.0,
                                                                     "attention_probs_dropout_prob": 0.0}))  # fmt: skip
    model = PretrainingModel(module, "mlm+nsp", packed=True).train()
    batch = training_batch("mlm+nsp", LENGTHS)
    expected = gradients(model, model(batch))
    layers: list[int] = []
    module.bert.encoder.layer[0].attention.register_forward_pre_hook(lambda *_: layers.append(1))
    model.compute_activations_again()
    for name, slope in gradients(model, model(batch)).items():
        torch.testing.assert_close(slope, expected[name], rtol=0, atol=0)
    assert len(layers) == 2


@pytest.mark.parametrize("field", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
def test_packed_rows_on_a_cpu_have_all_dropout(make_folder: Callable[..., Path], field: str) -> None:
    batch = training_batch("mlm+nsp", LENGTHS)
    fields = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, field: 0.5}
    model = PretrainingModel(load(make_folder("Bert", kind="ForPreTraining", fields=fields)), "mlm+nsp", packed=True)
    without = model(batch)["mlm"].sum
    assert model.train()(batch)["mlm"].sum != without


def test_the_head_begins_at_the_frequencies_of_tokens(make_folder: Callable[..., Path]) -> None:
    module = load(make_folder("Bert", kind="ForPreTraining"))
    with torch.no_grad():
        module.cls.predictions.transform.LayerNorm.weight.zero_()
        module.cls.predictions.transform.LayerNorm.bias.zero_()
    frequencies = np.arange(1, len(VOCABULARY) + 1) / np.arange(1, len(VOCABULARY) + 1).sum()
    model = PretrainingModel(module, "mlm+nsp")
    model.set_output_bias(np.log(frequencies).astype(np.float32))
    batch = training_batch("mlm+nsp", LENGTHS)
    expected = -np.log(frequencies[batch.targets]).sum()
    assert model(batch)["mlm"].sum.item() == pytest.approx(expected, rel=1e-5)
    gpt = PretrainingModel(load(make_folder("GPT2", kind="LMHeadModel")), "causal")
    with pytest.raises(SpecError, match="no output bias"):
        gpt.set_output_bias(np.log(frequencies).astype(np.float32))


def test_the_work_of_a_step(make_folder: Callable[..., Path]) -> None:
    """3 layers of 4 * 32 * 32 + 2 * 32 * 48 weights, with biases and norms; the head is 32 wide."""
    model = PretrainingModel(load(make_folder("Bert", kind="ForMaskedLM")), "mlm")
    layer = 4 * (32 * 32 + 32) + 32 * 48 + 48 + 48 * 32 + 32 + 2 * 64
    per_token = 2 * (3 * layer + 64)
    expected = 3 * (15 * per_token + 4 * 3 * 32 * (100 + 25) + 2 * 4 * 32 * len(VOCABULARY))
    assert model.flops(np.array([10, 5]), 4) == expected


def test_the_work_of_a_decoder(make_folder: Callable[..., Path]) -> None:
    """2 layers each; an encoder's has 4 * 32 * 32 + 2 * 32 * 48 weights, a decoder's 4 * 32 * 32 more."""
    model = PretrainingModel(load(make_folder("T5", kind="ForConditionalGeneration")), "span")
    encoder = 2 * (4 * 32 * 32 + 2 * 32 * 48 + 2 * 32) + 32
    decoder = 2 * (8 * 32 * 32 + 2 * 32 * 48 + 3 * 32) + 32
    attention = 4 * 2 * 32 * (100 + 25)
    expected = 3 * (2 * 15 * encoder + attention + 2 * 4 * (decoder + 32 * len(VOCABULARY)))
    assert model.flops(np.array([10, 5]), 4) == expected


def test_weights_are_the_modules_alone(make_folder: Callable[..., Path]) -> None:
    module = load(make_folder("GPT2", kind="LMHeadModel"))
    model = PretrainingModel(copy.deepcopy(module), "causal")
    assert set(model.state_dict()) == {f"module.{name}" for name in module.state_dict()}


def test_a_class_without_a_head_is_refused(make_folder: Callable[..., Path]) -> None:
    with pytest.raises(SpecError, match="BertModel has no masked-language-model head"):
        PretrainingModel(load(make_folder("Bert")), "mlm")
