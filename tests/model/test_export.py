"""What is written, loaded by transformers, by sentence-transformers and by ourselves: they must agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from pipelines.errors import SpecError
from pipelines.model.abilities import abilities, require
from pipelines.model.architecture import read_architecture
from pipelines.model.encoder import Encoder
from pipelines.model.export import export
from pipelines.model.first_weights import first_weights
from pipelines.model.folder import ModelFolder, read_folder, resolve
from pipelines.model.pretraining import PretrainingModel
from pipelines.model.token_ids import read_token_ids
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.predict_spec import PredictSpec
from pipelines.run.local import Predictor
from pipelines.spec import EmbedSpec
from pipelines.store.models import package_folder
from tests.model.conftest import save_tokenizer
from tests.tiny import save_model

TEXTS = ["the ship and the harbour", "a letter to the king"]
TINY = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48,
        "initializer_range": 0.2}  # fmt: skip
PAIRS = [
    ("bert", "mlm+nsp", "BertForPreTraining"),
    ("bert", "mlm+sop", "BertForPreTraining"),
    ("bert", "mlm", "BertForMaskedLM"),
    ("albert", "mlm+sop", "AlbertForPreTraining"),
    ("modernbert", "mlm", "ModernBertForMaskedLM"),
    ("gpt2", "causal", "GPT2LMHeadModel"),
    ("t5", "span", "T5ForConditionalGeneration"),
]


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    (tmp_path / "tokenizer").mkdir()
    save_tokenizer(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def trained(where: Path, tokenizer: Path, objective: Any) -> tuple[PretrainingModel, ModelFolder | None]:
    architecture = read_architecture(where, read_token_ids(tokenizer))
    return PretrainingModel(first_weights(architecture, objective, seed=0).module, objective), architecture.checkpoint


def from_config(tmp_path: Path, tokenizer: Path, family: str, objective: Any) -> PretrainingModel:
    path = tmp_path / f"{family}.json"
    path.write_text(json.dumps({"model_type": family, **TINY}))
    return trained(path, tokenizer, objective)[0]


def embedded(folder: Path) -> Any:
    spec = resolve(EmbedSpec(model=str(folder), precision="float32"), read_folder(folder))
    tokens = DocumentTokenizer(read_folder(folder), spec).tokenize(TEXTS)
    return Encoder(read_folder(folder), spec).encode(tokens.values, tokens.offsets).vectors


@pytest.mark.parametrize(("family", "objective", "kind"), PAIRS)
def test_transformers_loads_what_was_trained(
    tmp_path: Path, tokenizer: Path, family: str, objective: Any, kind: str
) -> None:
    model = from_config(tmp_path, tokenizer, family, objective)
    export(model, tmp_path / "out", tokenizer=tokenizer, max_seqlen=24)
    found, info = getattr(transformers, kind).from_pretrained(tmp_path / "out", output_loading_info=True)
    assert (found.config.architectures, found.config.model_type) == ([kind], family)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    for name, weight in model.module.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], weight, rtol=0, atol=0)
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    expected = transformers.AutoTokenizer.from_pretrained(tokenizer)
    assert loaded(TEXTS)["input_ids"] == expected(TEXTS)["input_ids"]
    assert loaded.model_max_length == 24
    transformers.AutoModel.from_pretrained(tmp_path / "out")


@pytest.mark.parametrize(("family", "objective", "kind"), PAIRS)
def test_embed_loads_what_was_trained(tmp_path: Path, tokenizer: Path, family: str, objective: Any, kind: str) -> None:
    model = from_config(tmp_path, tokenizer, family, objective)
    export(model, tmp_path / "out", tokenizer=tokenizer, max_seqlen=24)
    assert read_folder(tmp_path / "out").max_seqlen == 24
    network = model.module.eval().get_encoder() if family == "t5" else model.module.eval().base_model
    ids = transformers.AutoTokenizer.from_pretrained(tokenizer)(TEXTS)["input_ids"]
    with torch.inference_mode():
        expected = [network(input_ids=torch.tensor([row])).last_hidden_state[0].mean(0).numpy() for row in ids]
    np.testing.assert_allclose(embedded(tmp_path / "out"), expected, atol=1e-5)


def test_masks_are_filled_as_by_transformers(tmp_path: Path, tokenizer: Path) -> None:
    model = from_config(tmp_path, tokenizer, "bert", "mlm+nsp")
    export(model, tmp_path / "out", tokenizer=tokenizer, max_seqlen=24)
    fill = transformers.pipeline("fill-mask", model=str(tmp_path / "out"), device="cpu")
    expected = {guess["token_str"]: guess["score"] for guess in fill("the [MASK] and the king")}
    spec = PredictSpec(model=str(tmp_path / "out"), outputs=["fill_mask"], precision="float32")
    ((filling,),) = (row["fill_mask"] for row in Predictor(spec).predict(["the [MASK] and the king"]))
    found = dict(zip(filling["tokens"], np.exp(filling["log_probs"]), strict=True))
    assert found == pytest.approx(expected, rel=1e-4)


def test_sentences_are_told_as_by_transformers(tmp_path: Path, tokenizer: Path) -> None:
    model = from_config(tmp_path, tokenizer, "bert", "mlm+nsp")
    export(model, tmp_path / "out", tokenizer=tokenizer, max_seqlen=24)
    whole = transformers.BertForPreTraining.from_pretrained(tmp_path / "out").eval()
    pair = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).encode(*TEXTS)
    ids, types = torch.tensor([pair.ids]), torch.tensor([pair.type_ids])
    with torch.inference_mode():
        expected = float(whole(input_ids=ids, token_type_ids=types).seq_relationship_logits.softmax(-1)[0, 0])
    spec = PredictSpec(model=str(tmp_path / "out"), outputs=["next_sentence"], text_pair="b", precision="float32")
    (row,) = Predictor(spec).predict([TEXTS[0]], [TEXTS[1]])
    assert row["next_sentence"] == pytest.approx(expected, rel=1e-4)


def test_a_network_that_learnt_the_order_of_sentences_tells_no_next_one(tmp_path: Path, tokenizer: Path) -> None:
    model = from_config(tmp_path, tokenizer, "bert", "mlm+sop")
    export(model, tmp_path / "out", tokenizer=tokenizer, max_seqlen=24)
    folder = read_folder(tmp_path / "out")
    assert "fill_mask" in abilities(folder)
    with pytest.raises(SpecError, match="BertForPreTraining was trained on the order of sentences"):
        require(folder, ["next_sentence"])
    again, _ = trained(tmp_path / "out", tokenizer, "mlm+nsp")
    export(again, tmp_path / "again", tokenizer=tokenizer, max_seqlen=24)
    assert "next_sentence" in abilities(read_folder(tmp_path / "again"))


def test_a_sentence_model_embeds_as_it_did(tmp_path: Path) -> None:
    """Nothing was learnt yet, so that vectors are the same: pooling, normalization and prompt came along."""
    source = save_model(tmp_path / "source", max_seqlen=20, prompts={"document": "the state "})
    expected = embedded(source)
    into_a_folder_of_its_own(source)
    np.testing.assert_array_equal(embedded(source), expected)
    model, checkpoint = trained(source, source, "mlm+nsp")
    export(model, tmp_path / "out", tokenizer=source, max_seqlen=16, checkpoint=checkpoint)
    folder = read_folder(tmp_path / "out")
    assert (folder.normalize, folder.max_seqlen, folder.network_path) == (True, 20, tmp_path / "out")
    np.testing.assert_allclose(embedded(tmp_path / "out"), expected, atol=1e-6)
    oracle = SentenceTransformer(str(tmp_path / "out"), device="cpu").encode_document(TEXTS)
    np.testing.assert_allclose(oracle, expected, atol=1e-5)
    assert "fill_mask" in abilities(folder)


def into_a_folder_of_its_own(source: Path) -> None:
    """The network of a sentence-transformers folder, as some have it."""
    inner = source / "0_Transformer"
    inner.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "sentence_bert_config.json"):
        (source / name).rename(inner / name)
    modules = json.loads((source / "modules.json").read_text())
    modules[0]["path"] = inner.name
    (source / "modules.json").write_text(json.dumps(modules))


def test_minilm_goes_on_and_comes_out(tmp_path: Path, minilm: ModelFolder) -> None:
    model, checkpoint = trained(minilm.path, minilm.path, "mlm+nsp")
    export(model, tmp_path / "out", tokenizer=minilm.path, max_seqlen=128, checkpoint=checkpoint)
    np.testing.assert_allclose(embedded(tmp_path / "out"), embedded(minilm.path), atol=1e-6)
    assert abilities(read_folder(tmp_path / "out")) >= {"fill_mask", "next_sentence"}


def test_older_files_come_out_as_new_ones(tmp_path: Path) -> None:
    """A pickle and a vocab.txt: the tokenizer is written as it made the instances."""
    source = package_folder("package:rxnfp/models/transformers/bert_pretrained")
    model, checkpoint = trained(source, source, "mlm+nsp")
    export(model, tmp_path / "out", tokenizer=source, max_seqlen=128, checkpoint=checkpoint)
    assert (tmp_path / "out" / "model.safetensors").exists()
    assert not list((tmp_path / "out").glob("*.bin"))
    assert read_token_ids(tmp_path / "out").ids == read_token_ids(source).ids
    np.testing.assert_allclose(embedded(tmp_path / "out"), embedded(source), atol=1e-6)


def test_a_tokenizer_without_a_configuration(tmp_path: Path, tokenizer: Path) -> None:
    (tokenizer / "tokenizer_config.json").unlink()
    export(from_config(tmp_path, tokenizer, "bert", "mlm"), tmp_path / "out", tokenizer=tokenizer, max_seqlen=24)
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert (loaded.mask_token, loaded.pad_token, loaded.model_max_length) == ("[MASK]", "[PAD]", 24)
    assert loaded(TEXTS[0])["input_ids"] == Tokenizer.from_file(str(tokenizer / "tokenizer.json")).encode(TEXTS[0]).ids
