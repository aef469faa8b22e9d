from __future__ import annotations

import json
import math
from dataclasses import replace

from pipelines.train.events import Evaluated, Stepped

STEPPED = Stepped(
    step=20,
    position=40,
    tokens=300,
    seconds=6.0,
    progress=0.5,
    losses={"mlm": 2.0, "nsp": 0.5},
    accuracies={"mlm": 0.25, "nsp": 0.75},
    learning_rate=1e-3,
    grad_norm=0.9,
    num_steps=10,
    step_seconds=0.25,
    data_wait=0.01,
    tokens_per_second=60.0,
    flops_per_second=0.0,
    seconds_left=None,
    workers=2,
)


def test_a_row_is_numbers_by_name() -> None:
    row = STEPPED.row()
    assert (row["step"], row["loss_mlm"], row["accuracy_nsp"], row["loss"]) == (20, 2.0, 0.75, 2.5)
    assert "seconds_left" not in row
    assert all(isinstance(value, int | float) for value in row.values())
    assert json.loads(json.dumps(row)) == row


def test_an_evaluation_tells_perplexity_which_has_an_end() -> None:
    event = Evaluated(
        step=20,
        position=40,
        tokens=300,
        losses={"mlm": 2.0, "nsp": 1e6},
        accuracies={"mlm": 0.25, "nsp": 0.75},
        counts={"mlm": 3, "nsp": 1},
        seconds=1.0,
        merit=-1e6,
    )
    row = event.row()
    assert row["perplexity_mlm"] == math.exp(2.0)
    assert math.isfinite(row["perplexity_nsp"])
    assert (row["loss"], row["merit"]) == (1e6 + 2.0, -1e6)


def test_no_loss_has_no_sum() -> None:
    assert "loss" not in Stepped(**{**vars(STEPPED), "losses": {}, "accuracies": {}}).row()


def test_an_evaluation_by_metrics_tells_them_and_no_perplexity() -> None:
    event = Evaluated(
        step=20,
        position=40,
        tokens=300,
        losses={"class": 0.5},
        accuracies={"class": 0.75},
        counts={"class": 4},
        seconds=1.0,
        merit=0.75,
        metrics={"accuracy": 0.75},
        baselines={"accuracy": 0.5},
    )
    row = event.row()
    assert (row["metric_accuracy"], row["baseline_accuracy"], row["merit"], row["loss"]) == (0.75, 0.5, 0.75, 0.5)
    assert "perplexity_class" not in row
    assert "merit" not in replace(event, merit=-math.inf).row()  # JSON knows no such number
