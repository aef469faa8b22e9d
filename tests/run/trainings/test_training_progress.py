from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from pipelines.run.trainings.training_progress import TrainingProgress, describe_evaluation, draw


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def row(step: int, progress: float, **more: float) -> dict[str, float]:
    return {"step": step, "progress": progress, "loss_mlm": 4.2134, "loss_nsp": 0.352, **more}


def test_each_row_of_the_log_is_a_line(clock: Clock) -> None:
    stream = io.StringIO()
    with TrainingProgress("log", stream, clock) as progress:
        progress.phase("train")
        progress.step(row(10, 0.1))
        progress.expect(max_steps=100)
        speed = {"workers": 2, "tokens_per_second": 18_260, "data_wait": 0.014, "mfu": 0.41}
        progress.step(row(20, 0.2, seconds_left=240.2, **speed))
    assert stream.getvalue().splitlines() == [
        "train  step 10 (10 %), mlm 4.213, nsp 0.352",
        "train  step 20 of 100 (20 %), mlm 4.213, nsp 0.352, 2 x 9.1k tokens/s, data wait 1 %, MFU 41 %, 4:00 left",
    ]


def test_rows_are_json_on_request(clock: Clock) -> None:
    stream = io.StringIO()
    progress = TrainingProgress("json", stream, clock)
    clock.now += 1.5
    progress.step(row(10, 0.1))
    assert json.loads(stream.getvalue()) == {"seconds": 1.5, **row(10, 0.1)}


def test_an_evaluation_is_a_line_and_in_json_its_numbers(clock: Clock) -> None:
    event = {"event": "evaluated", "step": 20, "loss_mlm": 4.5, "accuracy_mlm": 0.25}
    said = "held out at step 20: mlm 4.500 (25.0 % right)"
    plain, stream = io.StringIO(), io.StringIO()
    TrainingProgress("log", plain, clock).evaluated(event)
    assert plain.getvalue() == f"{said}\n"
    TrainingProgress("json", stream, clock).evaluated(event)
    numbers = {"step": 20, "loss_mlm": 4.5, "accuracy_mlm": 0.25}
    assert json.loads(stream.getvalue()) == {"seconds": 0.0, "say": said, "evaluation": numbers}


def test_what_is_waited_for_is_said_once_and_ends_with_a_row(clock: Clock) -> None:
    stream = io.StringIO()
    progress = TrainingProgress("log", stream, clock)
    progress.waiting("room for a further worker")
    clock.now += 65
    progress.waiting("room for a further worker")
    assert stream.getvalue() == "start  waiting for room for a further worker\n"
    assert progress.state.waiting == "room for a further worker, 1:05"
    progress.step(row(1, 0.01))
    assert progress.state.waiting == ""


def test_the_display_fits_a_narrow_terminal(clock: Clock) -> None:
    progress = TrainingProgress("none", io.StringIO(), clock)
    progress.phase("train")
    console = Console(width=80, file=io.StringIO(), force_terminal=True)
    with console.capture() as shown:
        console.print(draw(progress.state))
        progress.expect(max_steps=1_000_000)
        progress.step(row(123_456, 0.5, tokens_per_second=1e6, data_wait=0.01, seconds_left=1e5))
        console.print(draw(progress.state))
        progress.waiting("a node")
        console.print(draw(progress.state))
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.get())
    assert all(len(line) <= 80 for line in plain.splitlines())
    assert "123,456" in plain
    assert "waiting for a node" in plain


def test_an_evaluation_is_a_line() -> None:
    told = {"step": 1200, "loss_mlm": 2.0, "perplexity_mlm": 7.389, "accuracy_mlm": 0.612, "loss_nsp": 0.3,
            "perplexity_nsp": 1.3, "accuracy_nsp": 0.9}  # fmt: skip
    assert describe_evaluation(told) == (
        "held out at step 1,200: mlm 2.000 (7.4 perplexity, 61.2 % right), nsp 0.300 (90.0 % right)"
    )


def test_an_evaluation_of_a_task_begins_with_its_metrics() -> None:
    told = {"step": 40, "metric_accuracy": 0.9125, "metric_f1": 0.9, "metric_f1_weighted": 0.91, "metric_auroc": 0.99,
            "loss_class": 0.31, "accuracy_class": 0.9125}  # fmt: skip
    assert describe_evaluation(told) == (
        "evaluated at step 40: accuracy 0.912, f1 0.900, f1_weighted 0.910, class 0.310 (91.2 % right)"
    )
