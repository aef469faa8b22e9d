"""What a training leaves for people, of events that are written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.run.trainings.chronicle import Chronicle, read_history
from pipelines.store.location import locate
from pipelines.train.checkpoints import folder_of
from pipelines.train.health import HealthWatch
from tests.run.trainings.test_board import read


def began(step: int, workers: int = 1) -> dict[str, Any]:
    return {"event": "began", "step": step, "workers": workers, "unigram_entropy": 6.5, "device": "cpu"}


def stepped(step: int, loss: float = 6.5, **more: float) -> dict[str, Any]:
    return {"event": "stepped", "step": step, "loss_mlm": loss, "loss": loss, "learning_rate": 1e-4, **more}


def evaluated(step: int, loss: float = 6.0) -> dict[str, Any]:
    return {"event": "evaluated", "step": step, "loss_mlm": loss, "loss": loss}


def watch(facts: Mapping[str, Any]) -> HealthWatch:
    return HealthWatch(facts.get("unigram_entropy", 0.0))


class Told:
    """A chronicle, and what it warned of."""

    def __init__(self, folder: Path, newest_step: int | None = None) -> None:
        self.warnings: list[str] = []
        self.seconds = 0.0
        self.chronicle = Chronicle(
            locate(str(folder)),
            title="t",
            newest_step=newest_step,
            watch=watch,
            warn=self.warnings.append,
            clock=self.clock,
        )

    def clock(self) -> float:
        return self.seconds


def test_points_become_a_picture_and_events(tmp_path: Path) -> None:
    told = Told(tmp_path)
    for event in (began(0), stepped(10, 7.0), stepped(20, 6.0), evaluated(20, 5.5), {"event": "ended", "step": 20}):
        told.chronicle.observe(event)
    told.chronicle.close()
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert read(tmp_path / "tensorboard/train", "loss/mlm") == [(10, 7.0), (20, 6.0)]
    assert read(tmp_path / "tensorboard/held_out", "loss/mlm") == [(20, 5.5)]
    assert told.chronicle.evaluation["loss"] == 5.5
    assert told.warnings == []


def test_the_picture_is_drawn_on_the_way_and_not_too_often(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.chronicle.observe(stepped(10))
    told.chronicle.observe(evaluated(10))
    assert not (tmp_path / "curves.png").exists()
    told.seconds = 121
    told.chronicle.observe(evaluated(20))
    assert (tmp_path / "curves.png").exists()


def test_steps_that_are_done_again_are_told_once(tmp_path: Path) -> None:
    told = Told(tmp_path)
    for event in (began(0, 2), stepped(10), stepped(20), stepped(30), evaluated(30), began(10, 3), stepped(20, 4.0)):
        told.chronicle.observe(event)
    assert [(row["step"], row["loss"]) for row in told.chronicle.rows] == [(10, 6.5), (20, 4.0)]
    assert told.chronicle.evaluation == {}


def test_a_resumed_training_goes_on_from_its_history(tmp_path: Path) -> None:
    history = [stepped(10, 7.0), evaluated(10, 7.5), stepped(20, 6.0)]
    folder = tmp_path / folder_of(20)
    folder.mkdir(parents=True)
    (folder / "history.jsonl").write_text("".join(json.dumps(event) + "\n" for event in history))
    told = Told(tmp_path, newest_step=20)
    assert [row["step"] for row in told.chronicle.rows] == [10, 20]
    assert told.chronicle.evaluation["loss"] == 7.5
    told.chronicle.close()
    assert not (tmp_path / "curves.png").exists()  # nothing happened
    told.chronicle.observe(began(20))
    told.chronicle.observe(stepped(30, 5.0))
    told.chronicle.close()
    assert (tmp_path / "curves.png").exists()


@pytest.mark.parametrize("content", [None, "{"])
def test_a_history_that_is_gone_or_damaged_is_none(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / folder_of(20)).mkdir(parents=True)
        (tmp_path / folder_of(20) / "history.jsonl").write_text(content)
    assert read_history(locate(str(tmp_path)), 20) == []


def test_the_watch_over_health_warns_with_the_line_of_the_corpus(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.chronicle.observe(began(0))
    for step in range(10, 400, 10):
        told.chronicle.observe(stepped(step, 6.45))
    (warning,) = told.warnings
    assert "the unigram entropy of the corpus (6.50)" in warning
