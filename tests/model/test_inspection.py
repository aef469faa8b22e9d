"""What a network computes inside, against its own vectors and against arithmetic by hand on its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipelines.errors import SpecError
from pipelines.model.encoder import Encoder
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.model.inspection import Inspector
from tests.model.conftest import FAMILIES, spec_for

IDS = np.array([2, 40, 77, 5, 90, 3], np.int32)
LAYERS = {"GPT2": 2, "T5": 2}


@pytest.mark.parametrize("family", FAMILIES)
def test_states_end_in_the_vectors_of_the_encoder(family: str, make_folder: Callable[..., Path]) -> None:
    kind = "EncoderModel" if family == "T5" else "Model"
    folder = read_folder(make_folder(family, kind=kind))
    insides = Inspector(folder, spec_for(folder), ["hidden_states", "attentions"]).inspect(IDS)
    num_layers = LAYERS.get(family, 3)
    assert insides.hidden_states is not None
    assert insides.attentions is not None
    assert insides.hidden_states.shape == (num_layers + 1, 6, 32)
    assert insides.attentions.shape == (num_layers, 4, 6, 6)
    np.testing.assert_allclose(insides.attentions.sum(-1), 1, atol=1e-5)
    encoder = Encoder(folder, spec_for(folder, pooling="mean", normalize=False), device="cpu")
    vectors = encoder.encode(IDS, np.array([0, 6])).vectors
    np.testing.assert_allclose(insides.hidden_states[-1].mean(0), vectors[0], atol=1e-5)
    assert insides.pooler_output is None


def test_attention_and_pooler_are_what_the_weights_say(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder("Bert"))
    weights = load_file(folder.network_path / "model.safetensors")
    insides = Inspector(folder, spec_for(folder), ["hidden_states", "attentions", "pooler_output"]).inspect(IDS)
    assert insides.hidden_states is not None

    def linear(name: str, states: torch.Tensor) -> torch.Tensor:
        return states @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    for layer in (0, 2):
        states = torch.from_numpy(insides.hidden_states[layer])
        query, key = (linear(f"encoder.layer.{layer}.attention.self.{name}", states) for name in ("query", "key"))
        first_head = torch.softmax(query[:, :8] @ key[:, :8].T / 8**0.5, -1)
        assert insides.attentions is not None
        np.testing.assert_allclose(insides.attentions[layer, 0], first_head, atol=1e-5)
    pooled = torch.tanh(linear("pooler.dense", torch.from_numpy(insides.hidden_states[-1][0])))
    np.testing.assert_allclose(insides.pooler_output, pooled, atol=1e-5)


def refusal(folder: ModelFolder, *names: str) -> str:
    with pytest.raises(SpecError) as caught:
        Inspector(folder, spec_for(folder), names).inspect(IDS)
    return str(caught.value)


def test_what_is_not_there_is_refused(make_folder: Callable[..., Path]) -> None:
    unpooled = read_folder(make_folder("Bert", kind="ForMaskedLM"))
    told = "gives no pooler_output: look at hidden_states or attentions instead"
    assert refusal(unpooled, "attentions", "pooler_output") == f"the bert in {unpooled.path} {told}"
    assert told in refusal(read_folder(make_folder("DistilBert")), "pooler_output")
    assert "no 'logits' inside: choose among hidden_states" in refusal(unpooled, "logits")


def test_types_of_tokens_count(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder("Bert"))
    inspector = Inspector(folder, spec_for(folder), ["hidden_states"])
    types = np.array([0, 0, 0, 0, 1, 1], np.int32)
    plain, paired = (inspector.inspect(IDS, kinds).hidden_states for kinds in (None, types))
    assert plain is not None
    assert paired is not None
    np.testing.assert_array_equal(plain[0][:4], paired[0][:4])  # of the embeddings only those of type 1 differ
    assert np.abs(plain[0] - paired[0])[4:].max() > 0.1


def test_a_class_of_the_users_own_is_looked_into(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder("Bert", kind="ForMaskedLM"))
    own = spec_for(folder, model_class="transformers.BertForMaskedLM")
    found, plain = (Inspector(folder, spec, ["attentions"]).inspect(IDS) for spec in (own, spec_for(folder)))
    np.testing.assert_array_equal(found.attentions, plain.attentions)
