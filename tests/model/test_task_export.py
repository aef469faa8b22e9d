"""What is written, loaded by transformers, by sentence-transformers and by ourselves: they must agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from sentence_transformers import SentenceTransformer
from torch import Tensor
from transformers import BertForSequenceClassification

from pipelines.finetune_spec import FinetuneSpec
from pipelines.model.classifier import HeadLogits, load_classifier
from pipelines.model.encoder import Encoder
from pipelines.model.finetuning import FinetuningModel
from pipelines.model.folder import ModelFolder, read_folder, resolve
from pipelines.model.loop import BatchLoop, Chunks
from pipelines.model.task_export import export_finetuned
from pipelines.model.task_network import first_task_network
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.predict_spec import PredictSpec
from pipelines.spec import EmbedSpec
from pipelines.text.example_batch import ExampleBatch
from tests.model.conftest import example_batch

LABELS = ("ham", "spam", "eggs")
CPU = torch.device("cpu")
TEXTS = ["the ship and the harbour", "a letter to the king", "war"]
MAKERS = {
    "classification": "AutoModelForSequenceClassification",
    "multi_label": "AutoModelForSequenceClassification",
    "regression": "AutoModelForSequenceClassification",
    "token_classification": "AutoModelForTokenClassification",
    "question_answering": "AutoModelForQuestionAnswering",
}
DENSE = {"in_features": 32, "out_features": 8, "activation_function": "torch.nn.modules.activation.Tanh"}


class Keen(BertForSequenceClassification):
    """A class of somebody's own, whose name says nothing."""


def learnt(checkpoint: ModelFolder, task: Any, **fields: Any) -> FinetuningModel:
    """A model that has made two steps of a size that shows."""
    paired = {"text_pair": "other"} if task in ("question_answering", "embedding") else {}
    spec = FinetuneSpec(model="mine", task=task, **{**paired, **fields})
    made = first_task_network(checkpoint, spec, LABELS if "class" in task or task == "multi_label" else ())
    model = made.model(CPU)
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=3e-3)
    batch = example_batch(task, [8, 12, 9, 11, 6, 7])
    for _ in range(2):
        optimizer.zero_grad()
        torch.stack([loss.sum for loss in model(batch).values()]).sum().backward()
        optimizer.step()
    return model.eval()


def classified(path: Path, batch: ExampleBatch, **fields: Any) -> np.ndarray[Any, Any]:
    """Logits of jobs.predict."""
    spec = PredictSpec(model=str(path), outputs=["classify"], precision="float32", **fields)
    classifier = load_classifier(read_folder(path), spec, device=CPU, precision="float32")
    chunks = Chunks(batch.values, batch.offsets)
    harvest = HeadLogits(classifier, chunks, CPU)
    loop = BatchLoop(classifier.network, CPU, lanes=1, token_budget=512, max_positions=0)
    failures, _ = loop.run(chunks, harvest, lambda: HeadLogits.probe(classifier, CPU))
    assert not failures
    return harvest.values


def by_transformers(path: Path, batch: ExampleBatch) -> Tensor:
    """Logits of one example after another."""
    module, info = getattr(transformers, MAKERS[batch.task]).from_pretrained(path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    found = []
    for row in np.split(batch.values, batch.offsets[1:-1]):
        given = module.eval()(input_ids=torch.from_numpy(row.astype(np.int64))[None])
        ends = "start_logits" in given
        logits = torch.stack([given.start_logits, given.end_logits], dim=-1) if ends else given.logits
        found.append(logits if logits.dim() == 2 else logits[0])
    return torch.cat(found).detach()


@pytest.mark.parametrize("family", ["Bert", "Roberta", "ModernBert", "DistilBert", "GPT2"])
@pytest.mark.parametrize("task", MAKERS)
def test_a_head_is_loaded_as_it_was_trained(
    make_folder: Callable[..., Path], tmp_path: Path, task: str, family: str
) -> None:
    if family == "GPT2" and task == "multi_label":
        pytest.skip("as classification")
    checkpoint = read_folder(make_folder(family))
    model = learnt(checkpoint, task)
    export_finetuned(model, tmp_path / "out", checkpoint=checkpoint, max_seqlen=24)
    batch = example_batch(task, [5, 9, 16], segment_b_start=np.zeros(3, np.int32))
    expected = model.told(batch).numpy()
    expected = expected[:, None] if task == "regression" else expected
    np.testing.assert_allclose(by_transformers(tmp_path / "out", batch), expected, atol=2e-5)
    np.testing.assert_allclose(classified(tmp_path / "out", batch), expected, atol=2e-5)
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "out").model_max_length == 24
    assert read_folder(tmp_path / "out").max_seqlen == 24


def test_a_classifier_names_its_labels(minilm: ModelFolder, tmp_path: Path) -> None:
    export_finetuned(learnt(minilm, "classification"), tmp_path, checkpoint=minilm, max_seqlen=64)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["id2label"] == {"0": "ham", "1": "spam", "2": "eggs"}
    assert config["label2id"] == {"ham": 0, "spam": 1, "eggs": 2}
    assert config["problem_type"] == "single_label_classification"
    assert not (tmp_path / "modules.json").exists()
    told = transformers.pipeline("text-classification", model=str(tmp_path), device="cpu")(TEXTS)
    assert {row["label"] for row in told} <= set(LABELS)


def test_a_class_of_the_users_own_is_known_by_its_kind(minilm: ModelFolder, tmp_path: Path) -> None:
    name = f"{__name__}.Keen"
    model = learnt(minilm, "classification", model_class=name)
    assert type(model.module) is Keen
    export_finetuned(model, tmp_path, checkpoint=minilm, max_seqlen=64)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    batch = example_batch("classification", [5, 9], segment_b_start=np.zeros(2, np.int32))
    np.testing.assert_allclose(classified(tmp_path, batch, model_class=name), model.told(batch), atol=2e-5)


def told_vectors(model: FinetuningModel, folder: Path) -> np.ndarray[Any, Any]:
    """What the model tells of the texts, by the tokens that transformers makes of them."""
    ids = transformers.AutoTokenizer.from_pretrained(folder)(TEXTS)["input_ids"]
    batch = ExampleBatch(
        task="embedding",
        values=np.concatenate(ids).astype(np.int32),
        offsets=np.cumsum([0, *map(len, ids)]),
        segment_b_start=np.zeros(len(ids), np.int32),
        targets=np.zeros(0, np.float32),
        number=np.zeros(1, np.int64),
        examples=np.array([0, len(ids)]),
    )
    return model.told(batch).numpy()


def embedded(path: Path) -> Any:
    """Vectors of jobs.embed."""
    folder = read_folder(path)
    spec = resolve(EmbedSpec(model=str(path), precision="float32"), folder)
    tokens = DocumentTokenizer(folder, spec).tokenize(TEXTS)
    return Encoder(folder, spec).encode(tokens.values, tokens.offsets).vectors


def check_vectors(checkpoint: ModelFolder, out: Path) -> ModelFolder:
    model = learnt(checkpoint, "embedding", temperature=1.0)
    export_finetuned(model, out, checkpoint=checkpoint, max_seqlen=20)
    expected = told_vectors(model, out)
    np.testing.assert_allclose(embedded(out), expected, atol=1e-5)
    sentences = SentenceTransformer(str(out), device="cpu")
    np.testing.assert_allclose(sentences.encode(TEXTS, show_progress_bar=False), expected, atol=1e-5)
    assert sentences.max_seq_length == 20
    return read_folder(out)


def test_minilm_is_loaded_by_sentence_transformers(minilm: ModelFolder, tmp_path: Path) -> None:
    found = check_vectors(minilm, tmp_path / "out")
    assert (found.pooling, found.normalize, found.max_seqlen) == ("mean", True, 20)


@pytest.mark.parametrize("family", ["Bert", "Roberta", "T5", "GPT2"])
def test_a_plain_encoder_becomes_one_of_sentence_transformers(
    make_folder: Callable[..., Path], tmp_path: Path, family: str
) -> None:
    found = check_vectors(read_folder(make_folder(family)), tmp_path / "out")
    assert (found.pooling, found.normalize) == ("mean", True)


def test_modules_behind_pooling_have_learnt_too(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    modules = [
        ("Pooling", {"pooling_mode": "cls", "embedding_dimension": 32}),
        ("Dense", DENSE),
        ("LayerNorm", {"dimension": 8}),
    ]
    prompts = {"prompts": {"document": "text: "}, "default_prompt_name": "document"}
    path = make_folder(modules=modules, config_sentence_transformers=prompts)
    checkpoint = read_folder(path)
    found = check_vectors(checkpoint, tmp_path / "out")
    assert (found.pooling, found.normalize, found.dim) == ("cls", False, 8)
    assert [head.kind for head in found.heads] == ["Dense", "LayerNorm"]
    assert (dict(found.prompts), found.default_prompt_name) == ({}, "")
    before, after = ((folder.path / "2_Dense" / "model.safetensors").read_bytes() for folder in (checkpoint, found))
    assert before != after
