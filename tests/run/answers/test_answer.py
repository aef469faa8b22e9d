"""One text, answered to a program as JSON and to a person as tables; and a look inside."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import SpecError
from pipelines.predict_spec import PredictSpec
from pipelines.run.answers.answer import answer, inspect
from pipelines.run.answers.view import View
from pipelines.run.local import Predictor
from pipelines.spec import EncodePool, Storage
from tests.model.conftest import save

TEXT = "the [MASK] of bread and wind and stone"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> PredictSpec:
    model = save(tmp_path_factory.mktemp("masked"), "Bert", kind="ForPreTraining")
    return PredictSpec(model=str(model), precision="float32", top_k=2, max_seqlen=6, overlong="chunk")


def test_json_has_a_line_a_chunk(spec: PredictSpec, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(spec, TEXT, View(inspect=["pooler_output"]), EncodePool(), Storage()) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["tokens"] for one in told] == [
        ["[CLS]", "the", "[MASK]", "of", "bread", "[SEP]"],
        ["[CLS]", "and", "wind", "and", "stone", "[SEP]"],
    ]
    pooled = [one.pop("pooler_output") for one in told]
    assert told == Predictor(spec).predict([TEXT])
    found = inspect(spec, TEXT, ["pooler_output"])
    np.testing.assert_allclose([one["values"] for one in pooled], [one.pooler_output for one in found], atol=1e-6)
    assert [one["shape"] for one in pooled] == [[32], [32]]


def test_tables_tell_both(
    spec: PredictSpec, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    view = View(format="tables", inspect=["attentions", "hidden_states"])
    assert answer(spec, TEXT, view, EncodePool(), Storage()) == 0
    told = capsys.readouterr().out
    for words in ("mask at 2  [CLS] the [MASK] of bread [SEP]", "no mask in this text"):
        assert told.count(words) == 1
    for words in ("attentions  [3, 4, 6, 6]", "hidden_states  [4, 6, 32]"):
        assert told.count(words) == 2


def test_the_second_text_of_a_pair_has_a_type_of_its_own(spec: PredictSpec) -> None:
    short = replace(spec, max_seqlen=20)
    paired = replace(short, text_pair="answer")
    (alone,) = inspect(short, "the ship [SEP] a king", ["hidden_states"])
    (pair,) = inspect(paired, "the ship", ["hidden_states"], text_pair="a king")
    assert alone.hidden_states is not None
    assert pair.hidden_states is not None
    same = np.isclose(alone.hidden_states[0], pair.hidden_states[0], atol=1e-5).all(-1)
    assert same.tolist() == [True] * 4 + [False] * 3  # [CLS] the ship [SEP] | a king [SEP]


def test_a_pair_is_answered_without_a_column_named(spec: PredictSpec, capsys: pytest.CaptureFixture[str]) -> None:
    asked = replace(spec, outputs=["next_sentence"], max_seqlen=20, overlong="truncate")
    view = View(inspect=["pooler_output"])
    assert answer(asked, "the ship", view, EncodePool(), Storage(), text_pair="a king") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tokens"] == ["[CLS]", "the", "ship", "[SEP]", "a", "king", "[SEP]"]
    assert 0 < told["next_sentence"] < 1
    assert told["pooler_output"]["shape"] == [32]


def test_there_must_be_a_text_to_look_at(spec: PredictSpec) -> None:
    with pytest.raises(SpecError, match="name the text to look at by --text"):
        answer(spec, "", View(inspect=["attentions"]), EncodePool(), Storage())


def test_a_look_at_what_is_not_there_is_refused(tiny_model: Path) -> None:
    with pytest.raises(SpecError, match="choose among hidden_states, pooler_output, attentions"):
        inspect(PredictSpec(model=str(tiny_model)), "the king", ["logits"])


def test_a_second_text_belongs_to_the_first(spec: PredictSpec, capsys: pytest.CaptureFixture[str]) -> None:
    follows = replace(spec, outputs=["next_sentence"], overlong="truncate", max_seqlen=20)
    assert answer(follows, "the ship", View(), EncodePool(), Storage(), text_pair="a king") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tokens"] == ["[CLS]", "the", "ship", "[SEP]", "a", "king", "[SEP]"]
    assert 0 < told["next_sentence"] < 1
