"""Classes of the user's own: they load and run as they say, and what they lack is told in one line before a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.errors import SpecError
from pipelines.model.encoder import Encoder
from pipelines.model.folder import read_folder, resolve
from pipelines.model.gate import check, reference
from pipelines.model.hugging_face import load_module
from pipelines.model.reader import Reader
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.model.user_class import check_user_class, user_class
from pipelines.predict_spec import PredictSpec
from pipelines.spec import EmbedSpec
from tests.model.conftest import TEXTS, spec_for

CLASSES = '''
import torch
from transformers import BertConfig, BertForMaskedLM, BertModel, PreTrainedModel

NUMBER = 3

class NoModel: ...

class Doubled(BertModel):
    def forward(self, *args, **kwargs):
        found = super().forward(*args, **kwargs)
        found.last_hidden_state = 2 * found.last_hidden_state
        return found

class Added(Doubled):
    def __init__(self, config):
        super().__init__(config)
        self.pooler_scale = torch.nn.Linear(1, 1)

class Narrow(BertModel):
    def forward(self, *args, **kwargs):
        found = super().forward(*args, **kwargs)
        found.last_hidden_state = found.last_hidden_state[..., :8]
        return found

class Deaf(BertModel):
    def forward(self, input_ids, attention_mask=None, **kwargs):
        return super().forward(input_ids=input_ids, **kwargs)

class Short(BertModel):
    def forward(self, input_ids):
        return super().forward(input_ids=input_ids)

class Broken(BertModel):
    def __init__(self, config):
        raise TypeError("no such thing")

class Bag(PreTrainedModel):
    """A network with nothing of BERT but its word embeddings."""
    config_class = BertConfig
    base_model_prefix = "bert"

    def __init__(self, config):
        super().__init__(config)
        self.embeddings = torch.nn.ModuleDict(
            {"word_embeddings": torch.nn.Embedding(config.vocab_size, config.hidden_size)}
        )
        self.post_init()

    def forward(self, input_ids, attention_mask=None, return_dict=True):
        from transformers.modeling_outputs import BaseModelOutput
        return BaseModelOutput(last_hidden_state=self.embeddings["word_embeddings"](input_ids))

class Filler(BertForMaskedLM):
    def __init__(self, config):
        super().__init__(config)
        self.bert = Doubled(config, add_pooling_layer=False)
        self.post_init()

class Louder(BertForMaskedLM):
    def forward(self, *args, **kwargs):
        found = super().forward(*args, **kwargs)
        found.logits = 2 * found.logits
        return found
'''


@pytest.fixture
def classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that holds the classes above."""
    name = f"classes_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(CLASSES)
    (tmp_path / f"{name}_broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("MyBert", "is 'MyBert': write MODULE.CLASS"),
        ("my-models.MyBert", "write MODULE.CLASS"),
        ("__main__.MyBert", "write MODULE.CLASS"),
        ("no_such_module.MyBert", "no_such_module cannot be imported .ModuleNotFoundError: .*--user_code"),
        ("{}_broken.MyBert", "cannot be imported .ZeroDivisionError"),
        ("{}.Missing", "has no class Missing"),
        ("{}.NUMBER", "has no class NUMBER"),
        ("{}.NoModel", "is no subclass of transformers.PreTrainedModel: derive it"),
    ],
)
def test_what_is_no_class_of_a_network_is_refused(classes: str, path: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        user_class(path.format(classes))


def test_the_class_loads_the_folder_and_runs(classes: str, make_folder: Callable[..., Path]) -> None:
    """Bare, and of a folder whose weights' names begin with bert.; by the path of a run, and by the plain one."""
    for kind in ("Model", "ForMaskedLM"):
        folder = read_folder(make_folder(kind=kind))
        spec = spec_for(folder, model_class=f"{classes}.Doubled", normalize=False)
        check_user_class(folder, spec)
        tokens = DocumentTokenizer(folder, spec).tokenize(TEXTS)
        plain = Encoder(folder, replace(spec, model_class="")).encode(tokens.values, tokens.offsets)
        for encoder in (Encoder(folder, spec), Encoder.plain(folder, spec)):
            found = encoder.encode(tokens.values, tokens.offsets)
            np.testing.assert_allclose(found.vectors, 2 * plain.vectors, atol=1e-4)


def test_a_class_with_nothing_of_bert_but_its_config(classes: str, make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder())
    spec = spec_for(folder, model_class=f"{classes}.Bag", pooling="cls", normalize=False)
    check_user_class(folder, spec)
    found = Encoder(folder, spec).encode(np.array([7, 8, 9], np.int32), np.array([0, 2, 3]))
    words = load_module(folder, dtype=torch.float32, device=torch.device("cpu")).embeddings.word_embeddings.weight
    np.testing.assert_allclose(found.vectors, words[[7, 9]].numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Added", "lacks 2 weights such as pooler_scale.bias"),
        ("Narrow", r"Narrow gives vectors of shape \(2, 2, 8\) .*: make it \(2, 2, 32\)"),
        ("Deaf", "gives a token other vectors where padding follows: let its forward heed attention_mask"),
        ("Short", "Short fails on two tokens .TypeError: .*let it take these"),
        ("Broken", "Broken does not load .*TypeError: no such thing"),
        ("Filler", "Filler gives a MaskedLMOutput without last_hidden_state: .* as BertModel's does"),
    ],
)
def test_what_a_class_for_vectors_lacks_is_told(
    classes: str, make_folder: Callable[..., Path], name: str, message: str
) -> None:
    folder = read_folder(make_folder(kind="ForMaskedLM"))
    with pytest.raises(SpecError, match=message):
        check_user_class(folder, spec_for(folder, model_class=f"{classes}.{name}"))


def masked(folder: Any, model_class: str) -> PredictSpec:
    return resolve(PredictSpec(model=str(folder.path), precision="float32", model_class=model_class), folder)


def test_a_class_with_a_mask_head_fills_masks(classes: str, make_folder: Callable[..., Path]) -> None:
    """Its logits are those of its own forward, and other than the family's."""
    folder = read_folder(make_folder(kind="ForMaskedLM"))
    spec = masked(folder, f"{classes}.Filler")
    check_user_class(folder, spec)
    whole = user_class(spec.model_class).from_pretrained(folder.path, dtype=torch.float32).eval()
    ids = torch.tensor([[2, 20, 7, 3]])
    with torch.inference_mode():
        logits = whole(input_ids=ids).logits[0, 2].numpy()
    values, offsets = ids[0].numpy().astype(np.int32), np.array([0, 4])
    found = Reader(folder, spec).encode(values, offsets).vectors[0]  # of the middle token
    np.testing.assert_allclose(found, logits - logits.mean(), atol=1e-4)
    plain = Reader(folder, replace(spec, model_class="")).encode(values, offsets).vectors[0]
    assert np.abs(found - plain).max() > 0.05


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Doubled", "Doubled has no cls.predictions.transform.dense, .*ForMaskedLM"),
        ("Louder", "gives other logits than its base model and its head"),
        ("Broken", "Broken does not load"),
    ],
)
def test_what_a_class_with_a_mask_head_lacks_is_told(
    classes: str, make_folder: Callable[..., Path], name: str, message: str
) -> None:
    folder = read_folder(make_folder(kind="ForMaskedLM"))
    with pytest.raises(SpecError, match=message):
        check_user_class(folder, masked(folder, f"{classes}.{name}"))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_passes_the_gate_against_itself_alone(
    classes: str, make_folder: Callable[..., Path], precision: str
) -> None:
    folder = read_folder(make_folder(kind="ForMaskedLM"))
    bag = replace(spec_for(folder, precision=precision), model_class=f"{classes}.Bag")
    tokenizer = DocumentTokenizer(folder, bag)
    assert check(Encoder(folder, bag), tokenizer, reference(folder, bag)) > 0.99
    filler = replace(masked(folder, f"{classes}.Filler"), precision=precision)
    assert check(Reader(folder, filler), tokenizer, reference(folder, filler)) > 0.99


def test_its_batches_are_padded(classes: str, make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder())
    spec = spec_for(folder, model_class=f"{classes}.Doubled")
    assert Encoder(folder, spec).path == "padded"
    with pytest.raises(SpecError, match="cannot run packed"):
        Encoder(folder, spec, path="packed")


def test_code_of_the_folder_does_not_run_where_the_class_is_the_users(make_folder: Callable[..., Path]) -> None:
    import json

    path = make_folder()
    config = json.loads((path / "config.json").read_text())
    config |= {"model_type": "my-bert", "auto_map": {"AutoModel": "theirs.Theirs", "AutoConfig": "theirs.Config"}}
    (path / "config.json").write_text(json.dumps(config))
    (path / "theirs.py").write_text("1 / 0")
    folder = read_folder(path)
    with pytest.raises(SpecError, match="runs Python code of its own"):
        resolve(EmbedSpec(model=str(path)), folder)
    check_user_class(folder, spec_for(folder, model_class="transformers.BertModel"))
