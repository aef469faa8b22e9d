"""Our BERT against transformers' own, which runs a chunk at a time by eager attention."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.errors import SpecError
from pipelines.model.bert import is_bert, load_bert
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.model.hugging_face import load_hugging_face
from pipelines.model.network import Network
from pipelines.text.pack import pack_batch, pad_batch

CPU = torch.device("cpu")
LENGTHS = [1, 9, 4, 4, 17]
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
ROWS = np.array([4, 1, 2, 3, 0])


def change(path: Path, **fields: Any) -> ModelFolder:
    """The folder with these fields in its config; None takes one out."""
    config = json.loads((path / "config.json").read_text()) | fields
    (path / "config.json").write_text(json.dumps({name: value for name, value in config.items() if value is not None}))
    return read_folder(path)


def values(folder: ModelFolder) -> np.ndarray:
    return np.random.default_rng(1).integers(5, folder.config["vocab_size"], OFFSETS[-1]).astype(np.int32)


@torch.inference_mode()
def expected(folder: ModelFolder) -> torch.Tensor:
    network = load_hugging_face(folder, dtype=torch.float32, device=CPU, attention="eager")
    ids = torch.from_numpy(values(folder).astype(np.int64))
    chunks = [ids[OFFSETS[row] : OFFSETS[row + 1]][None] for row in ROWS]
    return torch.cat([network.padded(chunk, torch.ones_like(chunk)) for chunk in chunks])


@torch.inference_mode()
def found(network: Network | None, folder: ModelFolder) -> torch.Tensor:
    assert network is not None
    if network.path == "padded":
        arrays = pad_batch(values(folder), OFFSETS, ROWS, network.pad_id)
        return network.padded(*map(torch.from_numpy, arrays))
    batch = pack_batch(values(folder), OFFSETS, ROWS)
    arrays = (batch.input_ids, batch.position_ids, batch.cu_seqlens)
    return network.packed(*map(torch.from_numpy, arrays), batch.max_seqlen)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("fields", [{}, {"hidden_act": "relu"}, {"layer_norm_eps": 0.1}], ids=str)
@pytest.mark.parametrize("family", ["Bert", "Roberta", "XLMRoberta", "Camembert"])
def test_it_computes_what_transformers_does(
    make_folder: Callable[..., Path], family: str, fields: dict[str, Any], packed: bool
) -> None:
    folder = change(make_folder(family), **fields)
    assert is_bert(folder)
    network = load_bert(folder, dtype=torch.float32, device=CPU, packed=packed)
    torch.testing.assert_close(found(network, folder), expected(folder), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("packed", [True, False])
def test_minilm_in_bfloat16(minilm: ModelFolder, packed: bool) -> None:
    network = load_bert(minilm, dtype=torch.bfloat16, device=CPU, packed=packed)
    cosines = torch.nn.functional.cosine_similarity(found(network, minilm).float(), expected(minilm))
    assert cosines.min() > 0.999


def test_a_compiled_network_is_the_same(make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    compile_by_tracing = torch.nn.Module.compile
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda module, **options: compile_by_tracing(module, backend="eager", **options)
    )  # dynamo alone: the C++ compiler that inductor needs is not everywhere
    folder = read_folder(make_folder())
    network = load_bert(folder, dtype=torch.float32, device=CPU, packed=False, compile=True)
    torch.testing.assert_close(found(network, folder), expected(folder), atol=2e-6, rtol=1e-5)


def test_work_leaves_tables_and_pooler_out(make_folder: Callable[..., Path]) -> None:
    network = load_bert(read_folder(make_folder()), dtype=torch.float32, device=CPU, packed=False)
    assert network is not None
    layer = 4 * (32 * 32 + 32) + (32 * 48 + 48) + (48 * 32 + 32) + 4 * 32
    assert (network.work.num_weights, network.work.attention_width) == (3 * layer + 2 * 32, 3 * 32)


@pytest.mark.parametrize(
    "fields",
    [
        {"hidden_act": "silu"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
        {"auto_map": {"AutoModel": "code.Model"}},
        {"num_attention_heads": None},
        {"num_attention_heads": 8},  # heads of 4, too narrow for the kernels
    ],
    ids=str,
)
def test_what_goes_beyond_it_is_left_to_transformers(make_folder: Callable[..., Path], fields: dict[str, Any]) -> None:
    assert not is_bert(change(make_folder(), **fields))


def test_other_families_are_left_to_transformers(make_folder: Callable[..., Path]) -> None:
    assert not any(is_bert(read_folder(make_folder(family))) for family in ("ModernBert", "MPNet", "T5", "GPT2"))


def renamed(path: Path, old: str, new: str) -> None:
    weights = {name.replace(old, new): tensor for name, tensor in load_file(path / "model.safetensors").items()}
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})


def test_weights_of_a_pretrained_head_and_of_old_names(make_folder: Callable[..., Path]) -> None:
    path = make_folder()
    folder = read_folder(path)
    expected_td = expected(folder)
    renamed(path, "", "")
    weights = {f"bert.{name}": tensor for name, tensor in load_file(path / "model.safetensors").items()}
    save_file(weights | {"cls.bias": torch.ones(3)}, path / "model.safetensors")
    renamed(path, "LayerNorm.weight", "LayerNorm.gamma")
    renamed(path, "LayerNorm.bias", "LayerNorm.beta")
    network = load_bert(folder, dtype=torch.float32, device=CPU, packed=False)
    torch.testing.assert_close(found(network, folder), expected_td, atol=2e-6, rtol=1e-5)


def test_weights_that_are_missing_are_transformers_business(make_folder: Callable[..., Path]) -> None:
    path = make_folder()
    renamed(path, "encoder.layer.1.output.dense.weight", "encoder.layer.1.output.dense.wait")
    assert load_bert(read_folder(path), dtype=torch.float32, device=CPU, packed=False) is None
    (path / "model.safetensors").unlink()
    with pytest.raises(SpecError, match=r"has no model\.safetensors"):
        load_bert(read_folder(path), dtype=torch.float32, device=CPU, packed=False)
