from __future__ import annotations

import math

import pytest

from pipelines.run.trainings.training_metrics import OF_A_ROW, OF_AN_EVALUATION, TrainingMetrics
from pipelines.train.events import Evaluated
from pipelines.train.line import told as as_event
from tests.recorded import recorded
from tests.train.test_events import STEPPED

BEGAN = {"event": "began", "step": 10, "workers": 3, "device": "cpu"}
EVALUATED = Evaluated(step=20, position=40, tokens=300, losses={"mlm": 4.0, "nsp": 0.5}, accuracies={}, counts={},
                      seconds=1.0, merit=-4.5)  # fmt: skip


def test_a_point_of_the_curves_is_gauges_and_work_done() -> None:
    """10 steps of .25 s, 60 tokens a second."""
    with recorded() as told:
        metrics = TrainingMetrics("pretrain", "r")
        for event in (BEGAN, as_event(STEPPED), as_event(STEPPED), as_event(EVALUATED)):
            metrics.observe(event)
        metrics.close()
    told.values.pop("manta_progress_timestamp_seconds")
    assert told.values == pytest.approx(
        {
            "manta_train_step": 20,
            "manta_train_step_seconds": 0.25,
            "manta_train_tokens_per_second": 60,
            "manta_train_data_wait_ratio": 0.01,
            "manta_train_loss": 2.5,
            "manta_train_workers": 2,
            "manta_train_steps_total": 20,
            "manta_train_tokens_total": 300,
            "manta_evaluation_loss": 4.5,
            "manta_evaluation_merit": -4.5,
        }
    )
    assert told.tags == {(("job_name", "pretrain"), ("run", "r"))}


def test_workers_that_are_started_again_are_counted_from_the_second_time_on() -> None:
    with recorded() as told:
        metrics = TrainingMetrics("finetune", "r")
        metrics.observe(BEGAN)
        assert "manta_train_restarts_total" not in told.values
        metrics.observe({"event": "failed", "rank": 1, "reason": "its process died"})
        metrics.observe(BEGAN | {"step": 5, "workers": 2})
        metrics.close()
    assert told.values["manta_train_restarts_total"] == 1
    assert (told.values["manta_train_step"], told.values["manta_train_workers"]) == (5, 2)


def test_what_events_say_is_what_gauges_ask_for() -> None:
    assert OF_A_ROW.keys() <= STEPPED.row().keys()
    assert OF_AN_EVALUATION.keys() <= EVALUATED.row().keys()


def test_a_merit_that_is_no_number_is_not_told() -> None:
    with recorded() as told:
        metrics = TrainingMetrics("finetune", "r")
        metrics.observe(as_event(Evaluated(**vars(EVALUATED) | {"merit": -math.inf})))
        metrics.close()
    assert told.values == {"manta_evaluation_loss": 4.5}
