"""Metrics are those of all examples, whoever told them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import SpecError
from pipelines.train.ranks import Ranks
from pipelines.train.scores.told import Told
from pipelines.train.source import Source
from pipelines.train.task_evaluation import TaskEvaluator, baselines
from tests.train.given_task import assignment, rows, spec_for


def test_an_evaluation_is_told_by_loss_and_metrics(tiny_model: Path, tmp_path: Path) -> None:
    given = assignment(tmp_path, spec_for(tiny_model), rows(64))
    equipment = given.course.equip(given, Ranks(), 0)
    evaluator = equipment.evaluator
    assert isinstance(evaluator, TaskEvaluator)
    judged = evaluator.judge(equipment.source.held_out(0, 1), Ranks())
    assert judged is not None
    found, told = judged.evaluation, judged.told
    assert list(found.metrics)[:2] == ["accuracy", "f1"]
    right = told.predictions.argmax(-1) == told.targets
    assert found.metrics["accuracy"] == found.merit == found.accuracies["class"] == right.mean()
    assert found.baselines == {"accuracy": 0.5}
    assert found.counts == {"class": len(told)}
    assert sorted(told.number.tolist()) == told.number.tolist()
    assert not equipment.model.training
    assert evaluator.judge([], Ranks()) is None


def test_two_workers_come_to_what_one_comes_to(tiny_model: Path, tmp_path: Path) -> None:
    """Each asks for its share; what they told is joined as if it had been gathered."""
    given = assignment(tmp_path, spec_for(tiny_model), rows(64))
    equipment = given.course.equip(given, Ranks(), 0)
    evaluator = equipment.evaluator
    assert isinstance(evaluator, TaskEvaluator)
    whole = evaluator.judge(equipment.source.held_out(0, 1), Ranks())

    class Both(Ranks):
        def gathered(self, value: list[Told]) -> list[list[Told]]:
            other = evaluator.judge(equipment.source.held_out(1, 2), Ranks())
            assert other
            return [[other.told], value]

    half = evaluator.judge(_share(equipment.source), Both())
    assert whole
    assert half
    assert half.told.number.tolist() == whole.told.number.tolist()
    assert np.abs(half.told.predictions - whole.told.predictions).max() < 1e-5
    assert half.evaluation.metrics == pytest.approx(whole.evaluation.metrics)


def test_a_metric_that_the_task_has_not_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    given = assignment(tmp_path, spec_for(tiny_model, metric="rmse"), rows(32))
    equipment = given.course.equip(given, Ranks(), 0)
    with pytest.raises(SpecError, match="metric is 'rmse', and classification has accuracy, f1"):
        equipment.evaluator(equipment.source.held_out(0, 1), Ranks())


def test_one_answer_to_all_is_right_so_often() -> None:
    def told(targets: list[float], kind: type) -> Told:
        return Told(predictions=np.zeros(len(targets)), targets=np.array(targets, kind), number=np.arange(len(targets)))

    assert baselines("classification", told([0, 1, 1, 2], np.int64)) == {"accuracy": 0.5}
    assert baselines("regression", told([1.0, 3.0], np.float32)) == {"rmse": 1.0}
    assert baselines("question_answering", told([1.0], np.float32)) == {}


def _share(source: Source) -> object:
    return source.held_out(0, 2)
