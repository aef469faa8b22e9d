"""Logits at masks against transformers' own forward pass, which takes one text at a time and gives them everywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.errors import SpecError
from pipelines.model import masked_lm
from pipelines.model.bert import BertNetwork
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.model.hugging_face import HuggingFaceNetwork
from pipelines.model.loop import BatchLoop, Chunks, Rows
from pipelines.model.masked_lm import MaskedLM, load_masked_lm, token_log_probs, top_k
from pipelines.spec import DocumentSpec
from pipelines.store.models import package_folder

CPU = torch.device("cpu")
MASK = 4
LENGTHS = [3, 17, 4, 9, 24]
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
RXNFP = "package:rxnfp/models/transformers/bert_pretrained"
RXNMAPPER = "package:rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k"
PADDED_ALONE = ("MPNet", "DebertaV2")
FAMILIES = ("Bert", "Roberta", "XLMRoberta", "Camembert", "DistilBert", "Albert", "Electra", "MPNet", "DebertaV2",
            "ModernBert")  # fmt: skip


def load(folder: ModelFolder, precision: Any = "float32", **how: Any) -> MaskedLM:
    return load_masked_lm(folder, DocumentSpec(model=str(folder.path)), device=CPU, precision=precision, **how)


def masked_chunks(folder: ModelFolder) -> Chunks:
    """Random token ids, some of them the mask's."""
    rng = np.random.default_rng(5)
    values = rng.integers(5, folder.config["vocab_size"], OFFSETS[-1]).astype(np.int32)
    values[rng.random(len(values)) < 0.2] = MASK
    assert (values == MASK).sum() > 5
    return Chunks(values, OFFSETS)


@torch.inference_mode()
def plain_logits(folder: ModelFolder, chunks: Chunks, **fields: Any) -> torch.Tensor:
    """[M, V] by the model that transformers loads for the folder."""
    from transformers import AutoConfig, AutoModelForMaskedLM

    config = AutoConfig.for_model(**{"model_type": folder.model_type, **folder.config, **fields})
    model = AutoModelForMaskedLM.from_pretrained(folder.path, config=config, attn_implementation="eager").eval()
    rows = torch.from_numpy(chunks.values.astype(np.int64)).split(LENGTHS)
    return torch.cat([model(input_ids=row[None]).logits[0, row == MASK] for row in rows])


def found_logits(model: MaskedLM, chunks: Chunks, budget: int = 40) -> torch.Tensor:
    """[M, V] of several batches."""
    starts = np.concatenate([[0], np.cumsum([(row == MASK).sum() for row in np.split(chunks.values, OFFSETS[1:-1])])])
    logits = torch.full((int(starts[-1]), model.head.vocab_size), torch.nan)

    def take(rows: Rows, hidden_td: torch.Tensor, lengths_b: torch.Tensor) -> None:
        for row, hidden in zip(rows, hidden_td.split(lengths_b.tolist()), strict=True):
            here = torch.from_numpy(chunks.values[OFFSETS[row] : OFFSETS[row + 1]] == MASK)
            logits[starts[row] : starts[row + 1]] = model.head(hidden[here])

    loop = BatchLoop(model.network, CPU, lanes=2, token_budget=budget, max_positions=0)
    failures, _ = loop.run(chunks, take, lambda: lambda *_: None)
    assert failures == {}
    return logits


@pytest.mark.parametrize("path", ["padded", "packed"])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_transformers(make_folder: Callable[..., Path], family: str, path: str) -> None:
    folder = read_folder(make_folder(family, kind="ForMaskedLM"))
    if path == "packed" and family in PADDED_ALONE:
        with pytest.raises(SpecError, match="cannot run packed"):
            load(folder, path="packed")
        return
    chunks = masked_chunks(folder)
    found = found_logits(load(folder, path=path), chunks)
    expected = plain_logits(folder, chunks)
    assert expected.std() > 0.05
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("family", "fields"),
    [
        ("DebertaV2", {"legacy": False}),
        ("ModernBert", {"decoder_bias": False}),
        ("Bert", {"tie_word_embeddings": False}),
        ("Bert", {"hidden_act": "relu"}),
        ("Roberta", {"hidden_act": "relu"}),  # whose head has gelu all the same
        ("Albert", {"hidden_act": "gelu_new"}),
    ],
    ids=str,
)
def test_variants_of_heads(make_folder: Callable[..., Path], family: str, fields: dict[str, Any]) -> None:
    folder = read_folder(make_folder(family, kind="ForMaskedLM", fields=fields))
    chunks = masked_chunks(folder)
    torch.testing.assert_close(found_logits(load(folder), chunks), plain_logits(folder, chunks), atol=1e-5, rtol=0)


def test_a_newer_deberta_is_told_by_its_weights(make_folder: Callable[..., Path]) -> None:
    path = make_folder("DebertaV2", kind="ForMaskedLM", fields={"legacy": False})
    config = (path / "config.json").read_text()
    assert '"legacy": false' in config
    (path / "config.json").write_text(config.replace('"legacy": false', '"legacy": true'))
    folder = read_folder(path)
    chunks = masked_chunks(folder)
    expected = plain_logits(folder, chunks, legacy=False)
    torch.testing.assert_close(found_logits(load(folder), chunks), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("path", ["padded", "packed"])
@pytest.mark.parametrize("package", [RXNFP, RXNMAPPER])
def test_real_weights(package: str, path: str) -> None:
    folder = read_folder(package_folder(package))
    chunks = masked_chunks(folder)
    found = found_logits(load(folder, path=path), chunks)
    torch.testing.assert_close(found, plain_logits(folder, chunks), atol=1e-5, rtol=1e-5)


def test_real_weights_in_bfloat16() -> None:
    folder = read_folder(package_folder(RXNFP))
    chunks = masked_chunks(folder)
    model = load(folder, "bfloat16")
    found = found_logits(model, chunks).log_softmax(-1)
    expected = plain_logits(folder, chunks).log_softmax(-1)
    assert found.dtype == torch.float32
    likely = expected > -8
    assert (found - expected)[likely].abs().mean() < 0.05


@pytest.mark.parametrize("family", ["Bert", "Roberta", "DistilBert"])
def test_the_plain_path_is_transformers_alone(make_folder: Callable[..., Path], family: str) -> None:
    folder = read_folder(make_folder(family, kind="ForMaskedLM"))
    chunks = masked_chunks(folder)
    model = load(folder, attention="eager")
    assert isinstance(model.network, HuggingFaceNetwork)
    assert model.network.module.config._attn_implementation == "eager"
    assert {type(child) for child in model.head.modules()} >= {torch.nn.Linear, torch.nn.LayerNorm}
    torch.testing.assert_close(found_logits(model, chunks), plain_logits(folder, chunks), atol=1e-5, rtol=0)


def test_bert_needs_no_transformers() -> None:
    import subprocess
    import sys

    code = (
        "import sys, torch; from pipelines.model.masked_lm import load_masked_lm;"
        "from pipelines.model.folder import read_folder; from pipelines.spec import DocumentSpec;"
        "where = sys.argv[1]; device = torch.device('cpu');"
        "load_masked_lm(read_folder(where), DocumentSpec(model='m'), device=device, precision='float32');"
        "sys.exit('transformers' in sys.modules)"
    )
    where = str(package_folder(RXNFP))
    assert subprocess.run([sys.executable, "-c", code, where], check=False).returncode == 0


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("Bert", "cls.predictions.transform.LayerNorm.weight"),
        ("Bert", "cls.predictions.bias"),
        ("Roberta", "lm_head.layer_norm.bias"),
        ("DistilBert", "vocab_layer_norm.weight"),
        ("Albert", "predictions.dense.bias"),
        ("ModernBert", "head.norm.weight"),
    ],
)
def test_weights_that_a_head_lacks_are_refused(make_folder: Callable[..., Path], family: str, name: str) -> None:
    path = make_folder(family, kind="ForMaskedLM")
    weights = load_file(path / "model.safetensors")
    del weights[name]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SpecError, match=f"lacks . weights such as {name}"):
        load(read_folder(path))


def test_a_decoder_that_is_tied_to_nothing_is_refused(make_folder: Callable[..., Path]) -> None:
    path = make_folder("Bert", kind="ForMaskedLM", fields={"tie_word_embeddings": False})
    weights = load_file(path / "model.safetensors")
    del weights["cls.predictions.decoder.weight"]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SpecError, match=r"lacks 1 weights such as cls\.predictions\.decoder\.weight"):
        load(read_folder(path))


def test_a_folder_without_a_head_is_refused(minilm: ModelFolder) -> None:
    with pytest.raises(SpecError, match="carries no masked-language-model head"):
        load(minilm)


def test_the_words_stay_a_table_to_look_up_in() -> None:
    model = load(read_folder(package_folder(RXNFP)))
    assert isinstance(model.network, BertNetwork)
    assert not model.network.words.is_mkldnn
    assert model.network.words[torch.tensor([3])].shape == (1, 256)


@pytest.mark.parametrize("pieces", [1, 4, 11])
def test_log_probabilities_in_pieces(monkeypatch: pytest.MonkeyPatch, pieces: int) -> None:
    model = load(read_folder(package_folder(RXNFP)))
    generator = torch.Generator().manual_seed(2)
    hidden_md = torch.randn(11, 256, generator=generator)
    targets_m = torch.randint(0, 591, (11,), generator=generator)
    expected_mv = model.head(hidden_md).log_softmax(-1)
    monkeypatch.setattr(masked_lm, "LOGITS_BYTES", -(-11 // pieces) * 591 * 4)

    scores_m = token_log_probs(model.head, hidden_md, targets_m)
    assert scores_m.dtype == torch.float32
    torch.testing.assert_close(scores_m, expected_mv[torch.arange(11), targets_m])
    log_probs_mk, ids_mk = top_k(model.head, hidden_md, 3)
    order_mk = expected_mv.argsort(-1, descending=True)[:, :3]
    assert torch.equal(ids_mk, order_mk)
    torch.testing.assert_close(log_probs_mk, expected_mv.gather(1, order_mk))


def test_one_mask_is_a_piece_however_large_the_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masked_lm, "LOGITS_BYTES", 5)
    model = load(read_folder(package_folder(RXNFP)))
    assert top_k(model.head, torch.ones(2, 256), 4)[1].shape == (2, 4)


def test_no_masks() -> None:
    model = load(read_folder(package_folder(RXNFP)))
    none = torch.zeros(0, 256)
    assert token_log_probs(model.head, none, torch.zeros(0, dtype=torch.int64)).shape == (0,)
    assert [found.shape for found in top_k(model.head, none, 3)] == [(0, 3), (0, 3)]


def test_log_probabilities_by_hand() -> None:
    """Logits 0 and ln 3: probabilities 1/4 and 3/4."""
    decoder = torch.nn.Linear(2, 2)
    decoder.load_state_dict({"weight": torch.zeros(2, 2), "bias": torch.tensor([0.0, float(np.log(3))])})
    head = masked_lm.MaskHead(torch.nn.Identity(), torch.nn.Identity(), torch.nn.Identity(), decoder)
    found = token_log_probs(head, torch.ones(2, 2), torch.tensor([0, 1]))
    torch.testing.assert_close(found.exp(), torch.tensor([0.25, 0.75]))
