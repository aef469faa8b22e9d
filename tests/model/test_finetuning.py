"""What both paths tell, against transformers' own classes, which take one example at a time."""

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
from torch import Tensor

from pipelines.model.finetuning import KINDS, FinetuningModel
from pipelines.model.lesson import Lesson
from pipelines.model.losses import LossSum
from pipelines.text.example_batch import LOSSES, ExampleBatch
from tests.model.conftest import example_batch

LENGTHS = [3, 17, 4, 4, 1, 24, 9]
PADDED_ALONE = ("MPNet", "DebertaV2", "T5")
CLASSES = {"sequence": "ForSequenceClassification", "token": "ForTokenClassification", "answer": "ForQuestionAnswering"}
FAMILIES = ("Bert", "Roberta", "XLMRoberta", "ModernBert", "MPNet", "DistilBert", "Albert", "Electra", "DebertaV2",
            "GPT2")  # fmt: skip
CASES = [
    *((family, "classification") for family in FAMILIES),
    *((family, "token_classification") for family in (*FAMILIES, "T5")),
    *((family, "question_answering") for family in FAMILIES),
    ("Bert", "multi_label"),
    ("Bert", "regression"),
    ("Llama", "regression"),
]


def lesson(task: Any, **fields: Any) -> Lesson:
    count = {"regression": 1, "question_answering": 2, "embedding": 0}.get(task, 3)
    return Lesson(task=task, num_logits=count, **fields)


def load(make_folder: Callable[..., Path], family: str, task: str, **fields: Any) -> Any:
    """The module as transformers makes it, its dropout off."""
    count = {"num_labels": lesson(task).num_logits}
    padding = {"pad_token_id": 0} if family in ("GPT2", "Llama") else {}
    pairs = {"type_vocab_size": 2} if family == "DebertaV2" else {}
    path = make_folder(family, kind=CLASSES[KINDS[task]], fields={**count, **padding, **pairs, **fields})
    (name,) = transformers.AutoConfig.from_pretrained(path).architectures
    return getattr(transformers, name).from_pretrained(path, attn_implementation="eager").eval()


def one_by_one(module: Any, batch: ExampleBatch) -> Tensor:
    """Logits of one example after another."""
    found = []
    for start, stop, second in zip(batch.offsets, batch.offsets[1:], batch.segment_b_start, strict=False):
        ids = torch.from_numpy(batch.values[start:stop].astype(np.int64))[None]
        typed = second and getattr(module.config, "type_vocab_size", 0) > 1
        paired = {"token_type_ids": (torch.arange(stop - start) >= second).long()[None]} if typed else {}
        given = module(input_ids=ids, attention_mask=torch.ones_like(ids), **paired)
        if "start_logits" in given:
            found.append(torch.stack([given.start_logits[0], given.end_logits[0]], dim=-1))
        else:
            found.append(given.logits if KINDS[batch.task] == "sequence" else given.logits[0])
    return torch.cat(found)


def plain_loss(logits: Tensor, batch: ExampleBatch) -> Tensor:
    """The sum by torch's own losses."""
    targets = torch.from_numpy(batch.targets)
    if batch.task == "question_answering":
        rows = zip(logits.split(np.diff(batch.offsets).tolist()), targets, strict=True)
        return torch.stack([torch.nn.functional.cross_entropy(row.T, ends) for row, ends in rows]).sum()
    kinds: dict[str, Any] = {
        "multi_label": torch.nn.BCEWithLogitsLoss(reduction="sum"),
        "regression": torch.nn.MSELoss(reduction="sum"),
    }
    loss: Tensor = kinds.get(batch.task, torch.nn.CrossEntropyLoss(reduction="sum"))(
        logits[:, 0] if batch.task == "regression" else logits, targets
    )
    return loss


def gradients(module: Any, loss: Tensor) -> dict[str, Tensor]:
    module.zero_grad()
    loss.backward()
    return {name: weight.grad.clone() for name, weight in module.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("path", ["padded", "packed"])
@pytest.mark.parametrize(("family", "task"), CASES)
def test_logits_losses_and_gradients_are_those_of_one_example_after_another(
    make_folder: Callable[..., Path], family: str, task: Any, path: str
) -> None:
    module = load(make_folder, family, task)
    batch = example_batch(task, LENGTHS)
    logits = one_by_one(module, batch)
    expected = plain_loss(logits, batch)
    slopes = gradients(module, expected)
    model = FinetuningModel(module, lesson(task), packed=path == "packed")
    assert model.path == ("padded" if family in PADDED_ALONE else path)
    told = model.told(batch)
    assert told.dtype == torch.float32
    assert logits.std() > 1e-3
    torch.testing.assert_close(told, logits[:, 0] if task == "regression" else logits, rtol=0, atol=2e-5)
    found = model(batch)[LOSSES[task]]
    assert found.count == batch.num_told
    torch.testing.assert_close(found.sum, expected, rtol=1e-5, atol=1e-5)
    for name, slope in gradients(module, found.sum).items():
        torch.testing.assert_close(slope, slopes[name], rtol=1e-4, atol=1e-4, msg=name)
    losses, again = model.assess(batch)
    assert torch.equal(again, told)
    torch.testing.assert_close(losses[LOSSES[task]].sum, found.sum, rtol=1e-5, atol=1e-5)  # another kernel learns


def test_the_loss_is_that_of_transformers(make_folder: Callable[..., Path]) -> None:
    """Its loss is the mean over the examples."""
    module = load(make_folder, "Bert", "classification")
    batch = example_batch("classification", [8, 8, 8], segment_b_start=np.zeros(3, np.int32))
    ids = torch.from_numpy(batch.values.astype(np.int64).reshape(3, 8))
    expected = module(input_ids=ids, labels=torch.from_numpy(batch.targets)).loss
    found = FinetuningModel(module, lesson("classification"))(batch)["class"]
    torch.testing.assert_close(found.sum / found.count, expected)


def test_classes_count_by_their_weights(make_folder: Callable[..., Path]) -> None:
    module = load(make_folder, "Bert", "classification")
    batch = example_batch("classification", LENGTHS)
    weights = torch.tensor([0.5, 1.0, 3.0])
    model = FinetuningModel(module, lesson("classification", class_weights=(0.5, 1.0, 3.0), label_smoothing=0.1))
    expected = torch.nn.functional.cross_entropy(
        model.told(batch), torch.from_numpy(batch.targets), weights, reduction="sum", label_smoothing=0.1
    )
    torch.testing.assert_close(model(batch)["class"].sum, expected)
    assert set(model.state_dict()) == {f"module.{name}" for name in module.state_dict()}


def nothing(batch: ExampleBatch) -> ExampleBatch:
    """No examples."""
    return replace(
        batch,
        values=batch.values[:0],
        offsets=batch.offsets[:1],
        segment_b_start=batch.segment_b_start[:0],
        targets=batch.targets[:0],
        number=batch.number[:0],
    )


@pytest.mark.parametrize("path", ["padded", "packed"])
@pytest.mark.parametrize("task", KINDS)
def test_a_batch_without_examples_has_no_loss_and_no_slope(
    make_folder: Callable[..., Path], task: Any, path: str
) -> None:
    module = load(make_folder, "Bert", task)
    model = FinetuningModel(module, lesson(task), packed=path == "packed")
    found: LossSum = model(nothing(example_batch(task, LENGTHS)))[LOSSES[task]]
    assert (found.sum.item(), found.count) == (0, 0)
    slopes = gradients(model, found.sum)
    assert len(slopes) == len(list(module.parameters()))
    assert all((slope == 0).all() for slope in slopes.values())
    assert len(model.told(nothing(example_batch(task, LENGTHS)))) == 0


@pytest.mark.parametrize("path", ["padded", "packed"])
def test_products_in_bfloat16_and_losses_in_float32(make_folder: Callable[..., Path], path: str) -> None:
    model = FinetuningModel(load(make_folder, "Bert", "classification"), lesson("classification"),
                            packed=path == "packed")  # fmt: skip
    batch = example_batch("classification", LENGTHS)
    exact = model(batch)["class"].sum
    with torch.autocast("cpu", torch.bfloat16):
        found = model(batch)["class"].sum
    assert found.dtype == torch.float32
    assert found != exact
    torch.testing.assert_close(found, exact, rtol=0.03, atol=0)
    assert {slope.dtype for slope in gradients(model, found).values()} == {torch.float32}


def test_the_work_of_a_step_below_whose_layers_nothing_learns(make_folder: Callable[..., Path]) -> None:
    model = FinetuningModel(load(make_folder, "Bert", "classification"), lesson("classification"))
    forward = model.network.work.useful_flops(np.array([10, 5]))
    assert model.flops(np.array([10, 5])) == pytest.approx(3 * forward)
    model.network.module.requires_grad_(False)
    assert model.flops(np.array([10, 5])) == pytest.approx(forward)


def test_packed_rows_have_the_dropout_of_the_head(make_folder: Callable[..., Path]) -> None:
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.5}
    module = load(make_folder, "Bert", "classification", **still)
    batch = example_batch("classification", LENGTHS)
    model = FinetuningModel(module, lesson("classification"), packed=True)
    assert torch.equal(model.told(batch), model.told(batch))
    model.train()
    assert not torch.equal(model.told(batch), model.told(batch))


def test_the_module_stays_whole(make_folder: Callable[..., Path]) -> None:
    module = load(make_folder, "Bert", "classification")
    names, before = set(module.state_dict()), copy.deepcopy(module.config.to_dict())
    FinetuningModel(module, lesson("classification"), packed=True)(example_batch("classification", LENGTHS))
    assert set(module.state_dict()) == names
    assert module.config.to_dict() == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize(("family", "task"), CASES)
def test_packed_rows_on_a_gpu_have_the_losses_and_gradients_of_a_cpu(
    make_folder: Callable[..., Path], family: str, task: Any
) -> None:
    module = load(make_folder, family, task)
    batch = example_batch(task, LENGTHS)
    exact = FinetuningModel(module, lesson(task))(batch)[LOSSES[task]].sum
    slopes = torch.cat([slope.flatten() for slope in gradients(module, exact).values()])
    model = FinetuningModel(module.cuda(), lesson(task), packed=True)
    assert model.path == ("padded" if family in PADDED_ALONE else "packed")
    with torch.autocast("cuda", torch.bfloat16):
        found = model(batch)[LOSSES[task]].sum
    torch.testing.assert_close(found.cpu(), exact, rtol=0.03, atol=0.05)
    close = torch.cat([slope.flatten() for slope in gradients(module, found).values()]).cpu()
    assert torch.cosine_similarity(slopes, close, 0) > 0.95
