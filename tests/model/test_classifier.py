"""Logits of every family's classifiers against transformers' own forward pass, which takes one text at a time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput

from pipelines.errors import SpecError
from pipelines.model.bert import BertNetwork
from pipelines.model.classifier import Classifier, HeadLogits, load_classifier
from pipelines.model.encoder import PooledVectors
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.model.hugging_face import HuggingFaceNetwork
from pipelines.model.loop import BatchLoop, Chunks, Rows
from pipelines.spec import DocumentSpec
from pipelines.store.models import package_folder
from tests.model.conftest import spec_for

CPU = torch.device("cpu")
LENGTHS = [3, 21, 1, 9, 9, 32]
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
OWN = "tests.model.test_classifier.Surest"
KINDS = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
FAMILIES = ("Bert", "Roberta", "XLMRoberta", "Camembert", "DistilBert", "Albert", "Electra", "MPNet", "DebertaV2",
            "ModernBert", "GPT2", "Llama", "Qwen3")  # fmt: skip
PADDED_ALONE = ("MPNet", "DebertaV2", "T5")
RXNFP = "package:rxnfp/models/transformers/bert_ft_10k_25s"


class Surest(BertForSequenceClassification):  # type: ignore[misc]
    """A class of the user's own, whose head takes the largest logit of all tokens."""

    def forward(self, input_ids: Any = None, attention_mask: Any = None, **kwargs: Any) -> Any:
        vectors = self.bert(input_ids, attention_mask=attention_mask, **kwargs).last_hidden_state
        logits = self.classifier(vectors).masked_fill(~attention_mask.bool()[..., None], -torch.inf)
        return SequenceClassifierOutput(logits=logits.amax(1))


def load(folder: ModelFolder, precision: Any = "float32", model_class: str = "", **how: Any) -> Classifier:
    spec = DocumentSpec(model=str(folder.path), model_class=model_class)
    return load_classifier(folder, spec, device=CPU, precision=precision, **how)


def chunks_for(folder: ModelFolder) -> Chunks:
    """Random token ids, padding's own left out: RoBERTa's family counts no positions on it."""
    ids = np.random.default_rng(8).integers(5, folder.config["vocab_size"], OFFSETS[-1])
    return Chunks(ids.astype(np.int32), OFFSETS)


@torch.inference_mode()
def plain(folder: ModelFolder, chunks: Chunks) -> torch.Tensor:
    """By the class of transformers that the config names, without padding, batches or masks."""
    import transformers

    name = folder.config["architectures"][0]
    whole = getattr(transformers, name).from_pretrained(folder.path, attn_implementation="eager").eval()
    rows = torch.from_numpy(chunks.values.astype(np.int64)).split(np.diff(chunks.offsets).tolist())
    found = [whole(input_ids=row[None]) for row in rows]
    if name.endswith("ForQuestionAnswering"):
        return torch.cat([torch.stack([one.start_logits[0], one.end_logits[0]], -1) for one in found])
    return torch.cat([one.logits if name.endswith("ForSequenceClassification") else one.logits[0] for one in found])


def found(model: Classifier, chunks: Chunks, budget: int = 48) -> torch.Tensor:
    harvest = HeadLogits(model, chunks, CPU)
    loop = BatchLoop(model.network, CPU, lanes=2, token_budget=budget, max_positions=0)
    failures, _ = loop.run(chunks, harvest, lambda: HeadLogits.probe(model, CPU))
    assert failures == {}
    return torch.from_numpy(harvest.values)


def check(folder: ModelFolder, path: Any) -> None:
    chunks = chunks_for(folder)
    model = load(folder, path=path)
    assert model.network.path == path
    logits, expected = found(model, chunks), plain(folder, chunks)
    assert len(logits) == len(LENGTHS if model.labels.kind == "sequence" else chunks.values)
    assert expected.std() > 0.01
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("path", ["padded", "packed"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_transformers(make_folder: Callable[..., Path], family: str, kind: str, path: str) -> None:
    folder = read_folder(make_folder(family, kind=kind, fields={"num_labels": 2 if "Question" in kind else 3}))
    if path == "packed" and family in PADDED_ALONE:
        with pytest.raises(SpecError, match="cannot run packed"):
            load(folder, path=path)
        return
    check(folder, path)


@pytest.mark.parametrize("path", ["padded", "packed"])
def test_a_mean_before_the_head(make_folder: Callable[..., Path], path: str) -> None:
    fields = {"num_labels": 3, "classifier_pooling": "mean"}
    check(read_folder(make_folder("ModernBert", kind="ForSequenceClassification", fields=fields)), path)


@pytest.mark.parametrize(
    ("family", "kind", "fields"),
    [
        ("T5", "ForTokenClassification", {"num_labels": 3}),
        ("Bert", "ForSequenceClassification", {"num_labels": 1}),
        ("Bert", "ForSequenceClassification", {"num_labels": 3, "problem_type": "multi_label_classification"}),
        ("Bert", "ForSequenceClassification", {"num_labels": 3, "hidden_act": "gelu_new"}),
        ("Llama", "ForSequenceClassification", {"num_labels": 3, "pad_token_id": None}),
        ("Llama", "ForSequenceClassification", {"num_labels": 3, "pad_token_id": 7}),
    ],
    ids=str,
)
def test_variants(make_folder: Callable[..., Path], family: str, kind: str, fields: dict[str, Any]) -> None:
    folder = read_folder(make_folder(family, kind=kind, fields=fields))
    chunks = chunks_for(folder)
    torch.testing.assert_close(found(load(folder), chunks), plain(folder, chunks), atol=1e-5, rtol=0)


def test_a_config_that_asks_for_tuples(make_folder: Callable[..., Path]) -> None:
    path = make_folder("MPNet", kind="ForSequenceClassification", fields={"num_labels": 3})
    folder = read_folder(path)
    chunks = chunks_for(folder)
    expected = plain(folder, chunks)
    (path / "config.json").write_text(json.dumps({**folder.config, "return_dict": False}))
    torch.testing.assert_close(found(load(read_folder(path)), chunks), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("path", ["padded", "packed"])
def test_real_weights(path: str) -> None:
    folder = read_folder(package_folder(RXNFP))
    chunks = chunks_for(folder)
    logits = found(load(folder, path=path), chunks)
    assert logits.shape == (6, 50)
    torch.testing.assert_close(logits, plain(folder, chunks), atol=1e-5, rtol=1e-5)


def test_real_weights_in_bfloat16() -> None:
    folder = read_folder(package_folder(RXNFP))
    chunks = chunks_for(folder)
    logits = found(load(folder, "bfloat16"), chunks).softmax(-1)
    expected = plain(folder, chunks).softmax(-1)
    assert logits.dtype == torch.float32
    assert (logits - expected).abs().max() < 0.1


def test_the_network_is_our_own_but_on_the_plain_path(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder("Roberta", kind="ForTokenClassification"))
    assert isinstance(load(folder).network, BertNetwork)
    model = load(folder, attention="eager")
    assert isinstance(model.network, HuggingFaceNetwork)
    assert model.network.module.config._attn_implementation == "eager"
    chunks = chunks_for(folder)
    torch.testing.assert_close(found(model, chunks), plain(folder, chunks), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_a_class_of_the_users_own(make_folder: Callable[..., Path]) -> None:
    path = make_folder("Bert", kind="ForSequenceClassification", fields={"num_labels": 3})
    folder = read_folder(path)
    chunks = chunks_for(folder)
    model = load(folder, model_class=OWN)
    assert isinstance(model.network, HuggingFaceNetwork)
    whole = Surest.from_pretrained(path).eval()
    rows = torch.from_numpy(chunks.values.astype(np.int64)).split(LENGTHS)
    expected = torch.cat([whole(row[None], torch.ones_like(row[None])).logits for row in rows])
    torch.testing.assert_close(found(model, chunks), expected, atol=1e-5, rtol=0)
    assert (expected - plain(folder, chunks)).abs().max() > 0.05


def test_chunks_that_fail_have_no_logits(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder("Bert", kind="ForTokenClassification", fields={"num_labels": 3}))
    chunks = chunks_for(folder)
    expected = plain(folder, chunks)
    chunks.values[OFFSETS[3] + 2] = 10_000
    model = load(folder)
    harvest = HeadLogits(model, chunks, CPU)
    loop = BatchLoop(model.network, CPU, lanes=1, token_budget=64, max_positions=0)
    failures, _ = loop.run(chunks, harvest, lambda: HeadLogits.probe(model, CPU))
    assert list(failures) == [3]
    gone = np.repeat(np.arange(6) == 3, LENGTHS)
    assert np.isnan(harvest.values[gone]).all()
    np.testing.assert_allclose(harvest.values[~gone], expected[~gone], atol=1e-5)


def test_logits_that_are_no_numbers(make_folder: Callable[..., Path]) -> None:
    model = load(read_folder(make_folder("Bert", kind="ForSequenceClassification")))
    harvest = HeadLogits(model, Chunks(np.ones(7, np.int32), np.array([0, 2, 4, 7])), CPU)
    harvest(np.array([2, 0]), torch.tensor([1, 1, 1, torch.nan, 1])[:, None].expand(5, 32), torch.tensor([3, 2]))
    assert np.isfinite(harvest.values).all(axis=1).tolist() == [False, False, True]  # the middle one was never run


def test_a_head_that_breaks_is_no_chunks_fault(make_folder: Callable[..., Path]) -> None:
    model = load(read_folder(make_folder("Bert", kind="ForSequenceClassification")))
    del model.head.whole.classifier
    chunks = chunks_for(read_folder(make_folder("Bert")))
    loop = BatchLoop(model.network, CPU, lanes=1, token_budget=64, max_positions=0)
    with pytest.raises(AttributeError, match="classifier"):
        loop.run(chunks, HeadLogits(model, chunks, CPU), lambda: HeadLogits.probe(model, CPU))


def test_labels_and_vectors_in_one_pass(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder("DistilBert", kind="ForSequenceClassification", fields={"num_labels": 3}))
    model, chunks = load(folder), chunks_for(folder)
    logits = HeadLogits(model, chunks, CPU)
    vectors = PooledVectors(len(chunks), spec_for(folder, pooling="cls"), torch.nn.Identity(), 0, CPU)

    def both(rows: Rows, hidden_td: torch.Tensor, lengths_b: torch.Tensor) -> None:
        logits(rows, hidden_td, lengths_b)
        vectors(rows, hidden_td, lengths_b)

    BatchLoop(model.network, CPU, lanes=2, token_budget=48, max_positions=0).run(chunks, both, lambda: both)
    torch.testing.assert_close(torch.from_numpy(logits.values), plain(folder, chunks), atol=1e-5, rtol=0)
    whole = model.head.whole
    by_hand = whole.classifier(torch.relu(whole.pre_classifier(vectors.vectors_nd)))
    torch.testing.assert_close(by_hand, plain(folder, chunks), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("Bert", "classifier.bias"),
        ("Bert", "bert.pooler.dense.weight"),
        ("DebertaV2", "pooler.dense.weight"),
        ("Roberta", "classifier.dense.weight"),
        ("Llama", "score.weight"),
    ],
)
def test_weights_that_a_head_lacks_are_refused(make_folder: Callable[..., Path], family: str, name: str) -> None:
    path = make_folder(family, kind="ForSequenceClassification")
    weights = load_file(path / "model.safetensors")
    del weights[name]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SpecError, match=f"lacks 1 weights such as {name}"):
        load(read_folder(path))


def test_more_labels_than_weights_are_refused(make_folder: Callable[..., Path]) -> None:
    path = make_folder("Bert", kind="ForTokenClassification", fields={"num_labels": 3})
    text = (path / "config.json").read_text()
    (path / "config.json").write_text(text.replace('"2": "LABEL_2"', '"2": "LABEL_2", "3": "LABEL_3"'))
    with pytest.raises(SpecError, match=r"has 2 weights such as classifier\.bias in other shapes than its config"):
        load(read_folder(path))


def test_what_is_no_classifier_is_refused(minilm: ModelFolder) -> None:
    with pytest.raises(SpecError, match="can't give classify: this folder's BertModel carries no classification head"):
        load(minilm)
