from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.learning_spec import TrainPool
from pipelines.pretrain_spec import PretrainSpec
from pipelines.run.trainings.crew import Crew
from pipelines.run.trainings.pretrain_ground import survey
from pipelines.run.trainings.training_books import TrainingBooks
from pipelines.run.trainings.training_ground import TrainingGround
from pipelines.run.trainings.training_order import TrainingOrder
from pipelines.run.trainings.training_report import TrainingReport, make_training_report
from tests.tiny_instances import prepare

CREW = Crew(least=2, most=2, num_cpus=1, num_gpus=0, num_threads=1)
EVENTS = [
    {"event": "began", "workers": 3, "step": 40, "device": "cpu"},
    {"event": "failed", "rank": 1, "reason": "its process died"},
    {"event": "began", "workers": 2, "step": 40, "device": "cpu"},
    {"event": "stepped", "step": 60, "position": 960, "tokens": 20_000, "tokens_per_second": 9_130.0, "data_wait": 0.02,
     "loss_mlm": 5.25, "loss_nsp": 0.5},
    {"event": "evaluated", "step": 60, "merit": -5.0, "loss": 5.0, "loss_mlm": 4.5, "loss_nsp": 0.5},
    {"event": "checkpointed", "step": 60, "uri": "/o", "num_bytes": 12_200_000, "seconds": 0.5},
    {"event": "warned", "message": "the pooler is new"},
    {"event": "ended", "step": 60, "outcome": "done"},
]  # fmt: skip


@pytest.fixture(scope="module")
def ground(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingGround:
    folder = tmp_path_factory.mktemp("made")
    order = TrainingOrder(instances=str(prepare(folder / "instances", tiny_model)), output=str(folder / "model"))
    return survey(order, PretrainSpec(architecture="bert-tiny", max_steps=60), TrainPool())


def report(ground: TrainingGround, crew: Crew | None = CREW) -> TrainingReport:
    books = TrainingBooks()
    for event in EVENTS if crew else ():
        books.note(event)
    return make_training_report(
        ground, books, run="run7", started=0.0, exit_code=0, phase_seconds={"plan": 1.0, "train": 64.0}, crew=crew
    )


def shown(found: TrainingReport) -> str:
    console = Console(width=80, file=io.StringIO())
    with console.capture() as captured:
        console.print(found.render())
    return captured.get()


def test_a_report_tells_what_came_of_it(ground: TrainingGround) -> None:
    text = shown(report(ground))
    assert text.startswith("pretrain run7: 20 steps from 40 on in 1:05\noutput ")
    words = re.sub(r"\s+", " ", text)
    for told in ("bert-tiny", "mlm+nsp", "workers 3 -> 2", "instances 64", "12.2 MB", "tokens 20,000", "epochs 15.00",
                 "tokens/s 9.1k", "data wait 2.0 %", "loss mlm 5.250", "held out at step 60: mlm 4.500",
                 "1. at step 40 its process died", "the pooler is new"):  # fmt: skip
        assert told in words
    assert all(len(line) <= 80 for line in text.splitlines()[2:])


def test_a_report_is_kept_as_json(ground: TrainingGround) -> None:
    told = json.loads(report(ground).to_json())
    assert (told["first_step"], told["step"], told["outcome"], told["seconds"]) == (40, 60, "done", 65.0)
    assert told["restarts"] == [{"rank": 1, "reason": "its process died", "step": 40}]
    assert told["crew"]["num_cpus"] == 1
    assert told["started"] == "1970-01-01T00:00:00+00:00"
    assert "torch" in told["versions"]


def test_where_nothing_had_to_be_done_that_is_all_there_is_to_tell(ground: TrainingGround) -> None:
    assert shown(report(ground, crew=None)).startswith(
        "pretrain: nothing to do, the training came to its end at step 0"
    )
