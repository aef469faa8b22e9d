"""The warm start with the real MiniLM, for a few steps: what it learns from, and the folder that it leaves."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from examples import warm_start
from examples.masked_training import Pace
from pipelines.model.folder import read_folder
from pipelines.predict_spec import PredictSpec
from pipelines.run.local import Predictor

TEXTS = ["The state of the Union is strong.", "Peace with all nations is the sum of our hopes.", "A canal was dug."]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Four documents, and a corpus of one of them that is held out."""
    folder = tmp_path_factory.mktemp("corpora")
    for name, ids in {"all": ["a", "b", "c", "d"], "few": ["d"]}.items():
        (folder / name).mkdir()
        texts = [*TEXTS, "Held out."][-len(ids) :]
        pq.write_table(pa.table({"id": ids, "text": texts}), folder / name / "x.parquet")
    return folder / "all", folder / "few"


@pytest.fixture(scope="module")
def model(corpora: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("made") / "minilm-mlm"
    warm_start.main(*corpora, output, steps=2)
    return output


def test_what_is_held_out_is_not_learnt_from(corpora: tuple[Path, Path]) -> None:
    assert warm_start.corpus(*corpora) == (TEXTS, ["Held out."])


def test_the_folder_is_a_masked_language_model_to_transformers_and_to_us(model: Path) -> None:
    """The same probabilities by both, and a text cut at the length that was learnt."""
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    text = "The president of the United [MASK]"
    tokenizer = AutoTokenizer.from_pretrained(model)
    plain = AutoModelForMaskedLM.from_pretrained(model).eval()
    encoded = tokenizer(text, return_tensors="pt")
    at_mask = encoded["input_ids"][0] == tokenizer.mask_token_id
    with torch.inference_mode():
        log_probs, ids = plain(**encoded).logits[0, at_mask].log_softmax(-1).topk(5)
    (found,) = Predictor(PredictSpec(model=str(model), precision="float32")).predict([text])
    assert found["fill_mask"][0]["ids"] == ids[0].tolist()
    assert found["fill_mask"][0]["log_probs"] == pytest.approx(log_probs[0].tolist(), abs=1e-4)
    assert tokenizer.model_max_length == read_folder(model).max_seqlen == warm_start.MAX_SEQLEN
    assert len(tokenizer(text)["input_ids"]) == 8


def test_the_card_says_what_it_is(model: Path) -> None:
    card = (model / "README.md").read_text()
    assert "2 steps" in card
    assert "On 1 paragraphs" in card
    assert "not a model to build on" in card


def test_a_model_that_is_there_is_left_alone(
    model: Path, corpora: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in model.iterdir()}
    warm_start.main(*corpora, model, steps=1)
    assert "is there already" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in model.iterdir()} == before


def test_a_training_that_is_interrupted_leaves_nothing(corpora: tuple[Path, Path], tmp_path: Path) -> None:
    def interrupted() -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        warm_start.warm_start(Pace(60, clock=interrupted), *corpora, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
