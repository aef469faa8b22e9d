import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.errors import GateError
from pipelines.model.encoder import Encoder
from pipelines.model.folder import ModelFolder, read_folder, resolve
from pipelines.model.gate import GateReference, check, edition, reference
from pipelines.model.reader import Reader
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.predict_spec import PredictSpec
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
    encoder = Encoder(minilm, spec_for(minilm), path="packed")
    run = encoder._network.packed

    def one_long_chunk(
        ids: torch.Tensor, positions: torch.Tensor, cu: torch.Tensor, longest: int, types: None
    ) -> torch.Tensor:
        return run(ids, positions, cu[[0, -1]], len(ids))

    monkeypatch.setattr(encoder._network, "packed", one_long_chunk)
    with pytest.raises(GateError, match="packing makes vectors"):
        check(encoder, tokenizer, truth)


def test_a_mask_that_is_forgotten_is_refused_as_padding(
    minilm: ModelFolder, truth: GateReference, tokenizer: DocumentTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder(minilm, spec_for(minilm), path="padded")
    run = encoder._network.padded

    def unmasked(ids: torch.Tensor, mask: torch.Tensor, types: None) -> torch.Tensor:
        return run(ids, torch.ones_like(mask))[mask.bool().flatten()]

    monkeypatch.setattr(encoder._network, "padded", unmasked)
    with pytest.raises(GateError, match="padding makes vectors"):
        check(encoder, tokenizer, truth)


def test_a_network_that_was_cast_is_refused_as_precision(
    minilm: ModelFolder, truth: GateReference, tokenizer: DocumentTokenizer
) -> None:
    encoder = Encoder(minilm, spec_for(minilm, precision="bfloat16"))
    network: Any = encoder._network
    weight = network.layers[2].norm.weight
    weight.data = (weight.data * 1e4).to(torch.float8_e5m2).to(torch.bfloat16) / 1e4
    network.words[::2] = 0
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
        network.norm.eps = 0.5

    monkeypatch.setattr(torch.nn.Module, "compile", miscompile)
    with pytest.raises(GateError, match=r"compilation makes vectors.*set compile to false"):
        check(Encoder(minilm, spec_for(minilm), compile=True), tokenizer, truth)


def test_vectors_that_are_not_finite_are_refused(
    minilm: ModelFolder, truth: GateReference, tokenizer: DocumentTokenizer
) -> None:
    encoder = Encoder(minilm, spec_for(minilm))
    network: Any = encoder._network
    network.norm.weight.data.fill_(np.nan)
    with pytest.raises(GateError):
        check(encoder, tokenizer, truth)


def test_a_reference_is_kept_as_bytes(truth: GateReference) -> None:
    again = GateReference.from_bytes(truth.to_bytes())
    assert again.vectors.dtype == np.float32
    np.testing.assert_array_equal(again.vectors, truth.vectors)


def test_the_edition_names_who_computes() -> None:
    assert f"torch {torch.__version__}" in edition()
    assert "transformers 5." in edition()


@pytest.mark.parametrize(("precision", "culprit"), [("float32", "the network"), ("bfloat16", "precision bfloat16")])
def test_masked_language_models_pass_by_their_logits(
    make_folder: Callable[..., Path], precision: str, culprit: str
) -> None:
    folder = read_folder(make_folder("Bert", kind="ForMaskedLM"))
    spec = resolve(PredictSpec(model="m", precision=precision), folder)  # type: ignore[arg-type]
    tokenizer = DocumentTokenizer(folder, spec)
    truth = reference(folder, spec)
    reader = Reader(folder, spec)
    assert check(reader, tokenizer, truth) > 0.995
    assert truth.vectors.shape == (8, folder.config["vocab_size"])
    head: Any = reader.mask_head
    head.norm.weight.data[::2] *= -1
    with pytest.raises(GateError, match=f"{culprit} makes vectors"):
        check(reader, tokenizer, truth)
