"""A class of the user's own in every job, on real Ray: its code comes to workers that have nothing of it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray

from jobs import entry
from jobs.embed import embed
from jobs.predict import predict
from pipelines.errors import FingerprintError
from pipelines.predict_spec import PredictSpec
from pipelines.run.local import Encoder, Predictor
from pipelines.spec import EmbedSpec, EncodePool, Slicing, TokenizePool
from tests.model.conftest import save
from tests.tiny import own_data_context, rows, sentence, write_shard

EDITION = """
from transformers import BertForMaskedLM, BertModel
from {name}_scale import SCALE

class Scaled(BertModel):
    def forward(self, *args, **kwargs):
        found = super().forward(*args, **kwargs)
        found.last_hidden_state = found.last_hidden_state.clone()
        found.last_hidden_state[..., :8] *= SCALE
        return found

class ScaledFiller(BertForMaskedLM):
    def __init__(self, config):
        super().__init__(config)
        self.bert = Scaled(config, add_pooling_layer=False)
        self.post_init()
"""


def write_code(folder: Path, name: str, scale: float = 3) -> str:
    """A module of this name and one beside it that it imports."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(EDITION.format(name=name))
    (folder / f"{name}_scale.py").write_text(f"SCALE = {scale}")
    return str(folder)


def run(job: Callable[..., int], spec: Any, folder: Path, user_code: str) -> int:
    """Two encoders, held against what a task computes: three processes that need the class."""
    with own_data_context():
        return job(
            spec, documents=str(folder / "corpus"), output=str(folder / "out"), progress="none", user_code=user_code,
            slicing=Slicing(max_rows=4), cpu=TokenizePool(max_actors=1, num_cpus=0.25),
            gpu=EncodePool(max_actors=2, num_cpus=1, num_threads=1),
        )  # fmt: skip


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver has a cache that is not the workers', so that what it laid there is nothing to them."""
    monkeypatch.setenv("MANTA_CACHE", str(tmp_path / "cache"))


def test_a_corpus_is_embedded_by_it(ray_session: None, elsewhere: None, tiny_model: Path, tmp_path: Path) -> None:
    code = write_code(tmp_path / "code", "embeds")
    seen = ray.remote(importlib.util.find_spec)
    assert ray.get(seen.remote("embeds")) is None
    write_shard(tmp_path / "corpus/a.parquet", 12)
    spec = EmbedSpec(model=str(tiny_model), precision="float32", model_class="embeds.Scaled")
    assert run(embed, spec, tmp_path, code) == 0
    found = np.array([row["embedding"] for row in rows(tmp_path / "out")])
    texts = [sentence(number) for number in range(12)]
    plain = Encoder(replace(spec, model_class="", normalize=False)).encode(texts)
    expected = plain * np.repeat([3, 1], [8, 24])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(Encoder(spec, user_code=code).encode(texts), expected, atol=1e-5)
    told = pq.read_schema(next((tmp_path / "out/parts").rglob("*.parquet"))).metadata
    assert told[b"manta.model_class"] == b"embeds.Scaled"
    with pytest.raises(FingerprintError, match=r"holds results of another spec .*model: .*hash"):
        run(embed, spec, tmp_path, write_code(tmp_path / "code", "embeds", scale=5))


def test_masks_are_filled_by_it(
    ray_session: None, elsewhere: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = write_code(tmp_path / "code", "fills")
    texts = ["the [MASK] of bread", "[MASK] wind night", "a ship", "gold, [MASK]; market", "war", "king [MASK]"]
    write_shard(tmp_path / "corpus/a.parquet", 6, text=texts)
    model = str(save(tmp_path / "model", "Bert", kind="ForMaskedLM"))
    spec = PredictSpec(model=model, precision="float32", model_class="fills.ScaledFiller")
    assert run(predict, spec, tmp_path, code) == 0
    capsys.readouterr()
    ours = Predictor(spec, user_code=code).predict(texts)
    plain = Predictor(replace(spec, model_class="")).predict(texts)
    found = [row["fill_mask"] for row in rows(tmp_path / "out")]
    assert [[one["ids"] for one in row] for row in found] == [[one["ids"] for one in row["fill_mask"]] for row in ours]
    first = [answers[0]["fill_mask"][0]["log_probs"] for answers in (ours, plain)]
    assert found[0][0]["log_probs"] == pytest.approx(first[0], abs=1e-5)
    assert found[0][0]["log_probs"] != pytest.approx(first[1], abs=1e-3)
    flags = ["--spec.model", model, "--spec.model_class", "fills.ScaledFiller", "--user_code", code]
    assert entry.run(predict, [*flags, "--text", texts[0], "--view.inspect", "[hidden_states]"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["fill_mask"][0]["ids"] == found[0][0]["ids"]
    assert told["hidden_states"]["shape"] == [4, 6, 32]


def test_one_text_alone_and_a_class_that_is_none(
    elsewhere: None, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = write_code(tmp_path / "code", "alone")
    flags = ["--spec.model", str(tiny_model), "--user_code", code, "--spec.normalize", "false", "--text", "the king"]
    flags += ["--spec.precision", "float32"]
    assert entry.run(embed, [*flags, "--spec.model_class", "alone.Scaled"]) == 0
    plain = Encoder(EmbedSpec(model=str(tiny_model), precision="float32", normalize=False)).encode(["the king"])[0]
    assert json.loads(capsys.readouterr().out)[0] == pytest.approx(3 * plain[0], abs=1e-5)
    assert entry.run(embed, [*flags, "--spec.model_class", "alone.SCALE"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "SpecError: model_class alone.SCALE: alone has no class SCALE: write MODULE.CLASS"
    ]
