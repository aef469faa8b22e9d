"""Data that were looked at, and what was decided of them, before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import SpecError
from pipelines.finetune_spec import FinetuneSpec
from pipelines.run.finetune import example_ground
from pipelines.run.finetune.example_ground import survey_data
from pipelines.run.finetune.finetune_order import FinetuneOrder
from tests.labelled import write_rows

ROWS = [{"id": n, "text": f"a {n}", "who": n // 20, "label": "ab"[n % 2]} for n in range(20)]


def order(folder: Path, **fields: Any) -> FinetuneOrder:
    return FinetuneOrder(train_data=str(folder / "train"), output=str(folder / "out"), progress="none", **fields)


def spec(model: Path, **fields: Any) -> FinetuneSpec:
    return FinetuneSpec(model=str(model), **{"task": "classification", **fields})


def test_a_model_that_cannot_be_is_told_of_before_rows_are_read(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example_ground, "survey_labels", lambda *_: pytest.fail("no row is to be read"))
    write_rows(tmp_path / "train" / "a.parquet", ROWS)
    with pytest.raises(SpecError, match=r"frozen_layers is 3: .* has 2 layers, write that at most"):
        survey_data(order(tmp_path), spec(tiny_model, frozen_layers=3))
    with pytest.raises(SpecError, match="there is no folder"):
        survey_data(order(tmp_path), spec(tmp_path / "none"))


def test_a_message_says_which_data_it_is_of(tmp_path: Path, tiny_model: Path) -> None:
    write_rows(tmp_path / "train" / "a.parquet", ROWS)
    write_rows(tmp_path / "dev" / "a.parquet", [{"text": "a"}])
    with pytest.raises(SpecError, match=r"a\.parquet of --eval_data has no column 'label'"):
        survey_data(order(tmp_path, eval_data=str(tmp_path / "dev")), spec(tiny_model))
    (tmp_path / "train" / "a.parquet").write_bytes(b"no Parquet")
    with pytest.raises(SpecError, match=r"check --train_data, and the columns that .* and --spec.label name"):
        survey_data(order(tmp_path), spec(tiny_model))


def test_of_numbers_each_tenth_has_its_share(tmp_path: Path, tiny_model: Path) -> None:
    rows = [{"id": n, "text": f"a {n}", "who": n // 4, "value": float(n) ** 2} for n in range(100)]
    write_rows(tmp_path / "train" / "a.parquet", rows)
    train, _ = survey_data(order(tmp_path), spec(tiny_model, task="regression", label="value"))
    assert np.bincount(np.flatnonzero(train.is_evaluated) // 10).tolist() == [1] * 10
    by_group, _ = survey_data(order(tmp_path), spec(tiny_model, task="regression", label="value", group="who"))
    assert by_group.is_evaluated.reshape(25, 4).all(1).sum() * 4 == by_group.is_evaluated.sum() > 0


def test_nothing_is_written(tmp_path: Path, tiny_model: Path) -> None:
    write_rows(tmp_path / "train" / "a.parquet", ROWS)
    train, evaluation = survey_data(order(tmp_path), spec(tiny_model))
    assert evaluation is None
    assert (train.is_evaluated.sum(), train.is_kept.sum()) == (2, 18)
    assert train.recipe.spec.labels == ["a", "b"]
    assert train.output.path == str(tmp_path / "out" / "examples" / "train")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"eval_share": 0.001}, r"eval_share is 0\.001: there are too few rows to hold out any"),
        ({"group": "who"}, r"eval_share is 0\.1: there are too few groups to hold out any"),
        ({"labels": ["a", "b", "c"]}, "labels is .*: there is no example of 'c'"),
        ({"task": "regression"}, "label is 'label': the column is string"),
    ],
)
def test_what_can_not_be_learnt(tmp_path: Path, tiny_model: Path, fields: dict[str, Any], message: str) -> None:
    write_rows(tmp_path / "train" / "a.parquet", ROWS)
    with pytest.raises(SpecError, match=message):
        survey_data(order(tmp_path), spec(tiny_model, **fields))
    assert not (tmp_path / "out").exists()


def test_data_to_evaluate_on_that_are_all_trained_on(tmp_path: Path, tiny_model: Path) -> None:
    write_rows(tmp_path / "train" / "a.parquet", ROWS)
    write_rows(tmp_path / "dev" / "a.parquet", ROWS[:3])
    asked = order(tmp_path, eval_data=str(tmp_path / "dev"))
    with pytest.raises(SpecError, match="all rows to evaluate on have a text that is trained on"):
        survey_data(asked, spec(tiny_model, twins="drop"))
    _, evaluation = survey_data(asked, spec(tiny_model))
    assert evaluation is not None
    assert (evaluation.is_twin.tolist(), evaluation.is_kept.all()) == ([True] * 3, True)
    write_rows(tmp_path / "dev" / "a.parquet", [{"id": 1, "text": "a", "label": "z"}])
    with pytest.raises(SpecError, match="no row of the data to evaluate on can be used: a label is none of"):
        survey_data(asked, spec(tiny_model))
