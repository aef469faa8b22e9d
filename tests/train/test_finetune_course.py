"""A fine-tuning comes out the same however it was cut, spread over workers, or interrupted."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.learning_spec import TrainPool
from pipelines.train.assignment import Assignment
from pipelines.train.events import Evaluated, Warned
from pipelines.train.finetune_course import FinetuneCourse
from pipelines.train.ranks import Ranks
from tests.train.given_task import assignment, rows, spec_for
from tests.train.small import flat
from tests.train.small_task import Run, train
from tests.train.workers import on_workers

NUM = 80
"""Rows, of which a quarter is held out."""


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Assignment:
    """That of all tests here but the last."""
    return assignment(tmp_path_factory.mktemp("made"), spec_for(tiny_model), rows(NUM))


def with_spec(given: Assignment, *, budget: int = 10**6, **fields: Any) -> Assignment:
    """The same with other fields of the spec."""
    course = given.course
    assert isinstance(course, FinetuneCourse)
    pool = TrainPool(token_budget=budget)
    return replace(given, pool=pool, course=replace(course, spec=replace(course.spec, **fields)))


def test_workers_are_one_worker_with_micro_batches(made: Assignment, tmp_path: Path) -> None:
    """Four, and one whose shares are cut in as many. (A key's bias has a slope of rounding alone: hence epsilon.)"""
    (tmp_path / "given").write_bytes(pickle.dumps(with_spec(made, epsilon=1e-2)))
    on_workers([4, 2], tmp_path, train)
    one = Run(with_spec(made, budget=24, epsilon=1e-2), tmp_path / "one", Ranks())
    assert len(next(one.equipment.source.steps(0, 8, 0, 1)).batches) >= 3
    outcome = one.run()
    for world in (4, 2):
        found = [np.load(tmp_path / str(world) / f"{rank}.npz") for rank in range(world)]
        assert np.abs(found[0]["weights"] - flat(one.model)).max() < 1e-5
        assert all((other["weights"] == found[0]["weights"]).all() for other in found)
        assert found[0]["curves"].tolist() == pytest.approx(np.array(one.curves()), abs=1e-4)
        assert all(other["merit"] == outcome.state.best_merit for other in found)


@pytest.mark.parametrize("stop_after", [4, 9])
def test_stopped_and_resumed_is_undisturbed(made: Assignment, tmp_path: Path, stop_after: int) -> None:
    """Bit by bit, with dropout, in the middle of an epoch."""
    given = with_spec(made, dropout=0.1)
    undisturbed = Run(given, tmp_path / "one", Ranks())
    undisturbed.run()
    first = Run(given, tmp_path / "two", Ranks(), stop_after)
    assert first.run().stopped
    second = Run(given, tmp_path / "two", Ranks())
    outcome = second.run()
    assert flat(second.model).tolist() == flat(undisturbed.model).tolist()
    assert [*first.curves(), *second.curves()] == undisturbed.curves()
    assert outcome.state.position == outcome.state.step * 8


def test_it_learns_and_delivers_the_best(made: Assignment, tmp_path: Path) -> None:
    run = Run(with_spec(made, epochs=6.0, patience=4), tmp_path, Ranks())
    outcome = run.run()
    evaluated = [event for event in run.events if isinstance(event, Evaluated)]
    best = max(event.metrics["accuracy"] for event in evaluated)
    assert best > 0.9
    assert outcome.state.best_merit == best
    assert next(event.step for event in evaluated if event.metrics["accuracy"] == best) == outcome.weights_step
    assert not [event for event in run.events if isinstance(event, Warned)]


def test_epochs_are_counted_in_steps_and_each_is_evaluated(made: Assignment) -> None:
    course = made.course
    assert isinstance(course, FinetuneCourse)
    num = course.train.num_instances
    assert num == NUM - course.held_out.num_instances
    assert course.recipe.pace.max_steps == -(-3 * num // 8)
    assert course.recipe.most_eval_steps == -(-num // 8)
    assert (course.recipe.deliver, course.recipe.patience) == ("best", 0)
    tenth = replace(course, spec=replace(course.spec, epochs=0.1))
    assert tenth.recipe.pace.max_steps == 1
    steps = replace(course, spec=replace(course.spec, epochs=0.0, max_steps=7))
    assert steps.recipe.pace.max_steps == 7
    assert course.labels == ("gold", "union")
    assert course.num_streams == 8


def others(task: str) -> list[dict[str, Any]]:
    """The same texts as a task has them."""
    words = {row["id"]: row["text"].split() for row in rows(32)}
    return [
        row
        | {
            "multi_label": {"label": [row["label"]][: int(row["id"][1:]) % 3]},
            "token_classification": {
                "text": words[row["id"]],
                "tags": ["B-METAL" if word == "gold" else "O" for word in words[row["id"]]],
            },
            "question_answering": {
                "context": row["text"],
                "answers": {"text": [row["label"]], "answer_start": [row["text"].index(row["label"])]},
            },
        }.get(task, {})
        for row in rows(32)
    ]


@pytest.mark.parametrize(
    ("task", "more", "pictures"),
    [
        ("multi_label", {}, ["classes.png"]),
        ("regression", {"label": "value"}, ["scores.png"]),
        ("token_classification", {}, ["classes.png"]),
        ("question_answering", {"text_pair": "context", "stride": 4}, []),
        ("embedding", {"text_pair": "label", "label": ""}, []),
        ("embedding", {"text_pair": "label", "label": "value"}, ["scores.png"]),
    ],
)
def test_every_task_is_learnt_evaluated_and_delivered(
    tiny_model: Path, tmp_path: Path, task: str, more: dict[str, Any], pictures: list[str]
) -> None:
    spec = spec_for(tiny_model, task=task, epochs=1.0, **more)
    run = Run(assignment(tmp_path, spec, others(task), TrainPool(token_budget=60)), tmp_path / "model", Ranks())
    outcome = run.run()
    assert outcome.state.step == 3
    assert outcome.state.best_merit is not None
    last = [event for event in run.events if isinstance(event, Evaluated)][-1]
    assert all(np.isfinite(value) for value in (*last.metrics.values(), *last.losses.values()))
    told = run.equipment.deliver(outcome)
    assert told["metrics"] == pytest.approx(last.metrics)
    assert told["pictures"] == pictures
    assert (tmp_path / "model" / ("modules.json" if task == "embedding" else "config.json")).exists()
