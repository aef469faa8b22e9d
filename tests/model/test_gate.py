import pickle
from typing import Any

import numpy as np
import pytest
import torch

import pipelines.model.encoder as encoder_module
from pipelines.errors import GateError
from pipelines.model.encoder import Encoder
from pipelines.model.folder import ModelFolder
from pipelines.model.gate import GateReference, check, reference
from pipelines.model.tokenizer import DocumentTokenizer
from tests.model.conftest import spec_for


@pytest.fixture(scope="module")
def truth(minilm: ModelFolder) -> GateReference:
    return pickle.loads(pickle.dumps(reference(minilm, spec_for(minilm))))


@pytest.fixture(scope="module")
def tokenizer(minilm: ModelFolder) -> DocumentTokenizer:
    return DocumentTokenizer(minilm, spec_for(minilm))


@pytest.mark.parametrize("path", ["packed", "padded"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_honest_encoders_pass(
    minilm: ModelFolder, truth: GateReference, tokenizer: DocumentTokenizer, path: Any, precision: str
) -> None:
    encoder = Encoder(minilm, spec_for(minilm, precision=precision), path=path)
    assert check(encoder, tokenizer, truth) > (0.999999 if precision == "float32" else 0.9998)


def test_wrong_cu_seqlens_are_refused_as_packing(
    minilm: ModelFolder, truth: GateReference, tokenizer: DocumentTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = encoder_module.run_packed

    def one_long_chunk(
        network: Any, ids: torch.Tensor, positions: torch.Tensor, cu: torch.Tensor, longest: int
    ) -> torch.Tensor:
        return run(network, ids, positions, cu[[0, -1]], len(ids))

    monkeypatch.setattr(encoder_module, "run_packed", one_long_chunk)
    with pytest.raises(GateError, match="packing makes vectors"):
        check(Encoder(minilm, spec_for(minilm), path="packed"), tokenizer, truth)


def test_a_mask_that_is_forgotten_is_refused_as_padding(
    minilm: ModelFolder, truth: GateReference, tokenizer: DocumentTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unmasked(network: Any, ids: torch.Tensor, mask: torch.Tensor, longest: int) -> torch.Tensor:
        return network(input_ids=ids, attention_mask=torch.ones_like(mask)).last_hidden_state[mask.bool()]

    monkeypatch.setattr(encoder_module, "run_padded", unmasked)
    with pytest.raises(GateError, match="padding makes vectors"):
        check(Encoder(minilm, spec_for(minilm), path="padded"), tokenizer, truth)


def test_a_network_that_was_cast_is_refused_as_precision(
    minilm: ModelFolder, truth: GateReference, tokenizer: DocumentTokenizer
) -> None:
    encoder = Encoder(minilm, spec_for(minilm, precision="bfloat16"))
    weight = encoder._network.encoder.layer[2].output.LayerNorm.weight
    weight.data = (weight.data * 1e4).to(torch.float8_e5m2).to(torch.bfloat16) / 1e4
    encoder._network.embeddings.word_embeddings.weight.data[::2] = 0
    with pytest.raises(GateError, match="precision bfloat16 makes vectors"):
        check(encoder, tokenizer, truth)


def test_bfloat16_under_the_name_of_float32_is_refused(
    minilm: ModelFolder, truth: GateReference, tokenizer: DocumentTokenizer
) -> None:
    encoder = Encoder(minilm, spec_for(minilm, precision="bfloat16"))
    encoder.precision = "float32"
    with pytest.raises(GateError, match="the network makes vectors"):
        check(encoder, tokenizer, truth)


def test_a_compiled_network_that_differs_is_refused_as_compilation(
    minilm: ModelFolder, truth: GateReference, tokenizer: DocumentTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def miscompile(network: Any, **options: Any) -> None:
        network.embeddings.LayerNorm.eps = 0.5

    monkeypatch.setattr(torch.nn.Module, "compile", miscompile)
    with pytest.raises(GateError, match=r"compilation makes vectors.*set compile to false"):
        check(Encoder(minilm, spec_for(minilm), compile=True), tokenizer, truth)


def test_vectors_that_are_not_finite_are_refused(
    minilm: ModelFolder, truth: GateReference, tokenizer: DocumentTokenizer
) -> None:
    encoder = Encoder(minilm, spec_for(minilm))
    encoder._network.embeddings.LayerNorm.weight.data.fill_(np.nan)
    with pytest.raises(GateError):
        check(encoder, tokenizer, truth)
