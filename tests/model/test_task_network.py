from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.errors import SpecError
from pipelines.finetune_spec import FinetuneSpec
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.model.task_network import TaskNetwork, first_task_network
from tests.model.conftest import example_batch

LABELS = ("ham", "spam", "eggs")
CPU = torch.device("cpu")


def make(folder: ModelFolder | Path, task: Any = "classification", labels: Any = LABELS, **fields: Any) -> TaskNetwork:
    paired = {"text_pair": "other"} if task in ("question_answering", "embedding") else {}
    spec = FinetuneSpec(model="mine", task=task, **{**paired, **fields})
    held = folder if isinstance(folder, ModelFolder) else read_folder(folder)
    return first_task_network(held, spec, labels, [1] * len(labels))


@pytest.mark.parametrize(
    ("task", "kind", "problem", "names"),
    [
        ("classification", "BertForSequenceClassification", "single_label_classification", LABELS),
        ("multi_label", "BertForSequenceClassification", "multi_label_classification", LABELS),
        ("regression", "BertForSequenceClassification", "regression", ("label",)),
        ("token_classification", "BertForTokenClassification", None, LABELS),
        ("question_answering", "BertForQuestionAnswering", None, ("start", "end")),
    ],
)
def test_a_task_has_its_head(minilm: ModelFolder, task: str, kind: str, problem: Any, names: tuple[str, ...]) -> None:
    made = make(minilm, task, LABELS if len(names) == 3 else ())
    config = made.module.config
    assert type(made.module).__name__ == kind
    assert (config.problem_type, config.num_labels) == (problem, len(names))
    assert (config.id2label, config.label2id) == (dict(enumerate(names)), {name: n for n, name in enumerate(names)})
    assert len(made.new) == 1
    assert made.new[0].endswith("head")
    assert {weight.dtype for weight in made.module.parameters()} == {torch.float32}
    assert all(weight.requires_grad for weight in made.module.parameters())


def test_the_head_is_a_function_of_the_seed_and_torchs_own_state_stays(minilm: ModelFolder) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (make(minilm, seed=seed).module.classifier.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.rand(3), expected)


def test_heads_of_a_pretraining_are_left_out(make_folder: Callable[..., Path]) -> None:
    whole = make(make_folder(kind="ForPreTraining"))
    assert (whole.new, whole.left_out) == (
        ("classification head",),
        ("language-model head", "sentence-order head"),
    )
    masked = make(make_folder(kind="ForMaskedLM"))
    assert (masked.new, masked.left_out) == (("pooler", "classification head"), ("language-model head",))


def save(made: TaskNetwork, folder: Path) -> Path:
    made.module.save_pretrained(folder)
    return folder


def test_a_head_stays_where_the_labels_are_the_same(minilm: ModelFolder, tmp_path: Path) -> None:
    before = make(minilm)
    path = save(before, tmp_path)
    again = make(path, seed=7)
    assert again.new == ()
    assert torch.equal(again.module.classifier.weight, before.module.classifier.weight)
    for labels in (("spam", "ham", "eggs"), ("ham", "spam")):
        other = make(path, labels=labels, seed=7)
        assert other.new == ("classification head",)
        assert not torch.equal(other.module.classifier.weight, before.module.classifier.weight[: len(labels)])
        assert not other.module.classifier.bias.any()
        assert torch.equal(other.module.bert.pooler.dense.weight, before.module.bert.pooler.dense.weight)
    assert make(path, "multi_label").new == ("classification head",)


def test_a_value_and_an_answer_keep_their_heads_whatever_they_are_called(minilm: ModelFolder, tmp_path: Path) -> None:
    value = save(make(minilm, "regression", (), label="stars"), tmp_path / "value")
    assert make(value, "regression", (), label="score").new == ()
    answer = save(make(minilm, "question_answering", ()), tmp_path / "answer")
    assert make(answer, "question_answering", ()).new == ()
    assert make(answer, "regression", ()).new == ("pooler", "regression head")


def test_dropout_is_that_of_the_spec(minilm: ModelFolder) -> None:
    made = make(minilm, dropout=0.3)
    found = {name: child.p for name, child in made.module.named_modules() if isinstance(child, torch.nn.Dropout)}
    assert set(found.values()) == {0.3}
    assert any("attention" in name for name in found)
    assert "dropout" in found


def test_the_lowest_layers_stay(minilm: ModelFolder) -> None:
    made = make(minilm, frozen_layers=6)
    learning = {name.split(".")[-2] for name, weight in made.module.named_parameters() if weight.requires_grad}
    assert learning == {"dense", "classifier"}
    with pytest.raises(SpecError, match="frozen_layers is 7, BertModel has 6 layers"):
        make(minilm, frozen_layers=7)


def test_a_decoder_that_names_no_padding_gets_one(make_folder: Callable[..., Path]) -> None:
    assert make(make_folder("GPT2")).module.config.pad_token_id == 3


def test_vectors_pass_no_pooler(minilm: ModelFolder, make_folder: Callable[..., Path]) -> None:
    made = make(minilm, "embedding", ())
    assert (made.new, made.left_out) == ((), ())
    assert not any(weight.requires_grad for weight in made.module.pooler.parameters())
    assert made.sentence_head is not None
    assert made.sentence_head.normalizes
    lacking = make(make_folder(kind="ForMaskedLM"), "embedding", ())
    assert (lacking.module.pooler, lacking.new) == (None, ())


def test_folders_that_serve_no_head(make_folder: Callable[..., Path]) -> None:
    with pytest.raises(SpecError, match="t5 network has a head for classification at its decoder alone"):
        make(make_folder("T5"))
    assert make(make_folder("T5"), "token_classification").new == ("tagging head",)
    path = make_folder()
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "intermediate_size": 64}))
    with pytest.raises(SpecError, match="in other shapes than its config"):
        make(path)


def test_it_learns_as_a_model(minilm: ModelFolder) -> None:
    model = make(minilm).model(CPU)
    assert (model.path, model.device, model.lesson.num_logits) == ("padded", CPU, 3)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("task", ["classification", "token_classification", "question_answering", "embedding"])
@pytest.mark.parametrize(
    "family",
    ["Bert", "Roberta", "ModernBert", "MPNet", "DistilBert", "Albert", "Electra", "DebertaV2", "GPT2", "Llama"],
)
def test_every_family_learns_a_batch_by_heart(
    make_folder: Callable[..., Path], family: str, task: Any, packed: bool
) -> None:
    """Every weight that learns has a gradient, which other workers wait for."""
    labels = LABELS if "class" in task else ()
    frozen = 0 if family == "Albert" else 1
    made = make(make_folder(family), task, labels, dropout=0.0, frozen_layers=frozen, temperature=0.5)
    model, batch = made.model(CPU, packed=packed).train(), example_batch(task, [3, 17, 4, 5, 24, 9])
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-2)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        (found,) = model(batch).values()
        found.sum.backward()
        assert all(weight.grad is not None for weight in weights)
        optimizer.step()
        losses.append(found.sum.item())
    assert losses[-1] < 0.9 * losses[0]
