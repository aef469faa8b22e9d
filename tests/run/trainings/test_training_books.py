from __future__ import annotations

from typing import Any

from pipelines.run.trainings.training_books import Restart, TrainingBooks


def began(step: int, workers: int) -> dict[str, Any]:
    return {"event": "began", "step": step, "workers": workers, "device": "cpu"}


def test_a_training_that_nothing_disturbs() -> None:
    books = TrainingBooks()
    lines = [
        books.note(event)
        for event in (
            began(0, 2),
            {"event": "stepped", "step": 10, "loss_mlm": 7.5, "seconds_left": None},
            {"event": "evaluated", "step": 10, "merit": -7.0, "loss": 7.0},
            {"event": "evaluated", "step": 20, "merit": -6.0, "loss": 6.0},
            {"event": "evaluated", "step": 30, "merit": -6.5, "loss": 6.5},
            {"event": "checkpointed", "step": 30, "uri": "/o", "num_bytes": 100, "seconds": 0.5},
            {"event": "ended", "step": 30, "outcome": "done"},
        )
    ]
    assert lines == [""] * 7
    assert (books.first_step, books.step, books.checkpoint, books.outcome) == (0, 30, 30, "done")
    assert books.row == {"step": 10, "loss_mlm": 7.5}
    assert books.evaluation["step"] == 30
    assert books.best["step"] == 20
    assert books.facts == {"device": "cpu"}


def test_a_restart_is_told_in_two_lines_with_its_cause() -> None:
    books = TrainingBooks()
    assert books.note(began(400, 3)) == "going on from step 400"
    books.note({"event": "stepped", "step": 460})
    failed = {"event": "failed", "rank": 1, "reason": "its process died"}
    assert books.note(failed) == "worker 1 failed: its process died; all are started again"
    assert books.note(failed) == ""  # Ray asks more than once
    assert books.note(began(450, 2)) == "the workers go on from step 450, 2 of them now"
    assert books.restarts == [Restart(rank=1, reason="its process died", step=450)]
    assert (books.step, books.workers) == (450, [3, 2])


def test_a_resize_is_no_failure() -> None:
    books = TrainingBooks()
    books.note(began(0, 1))
    assert books.note(began(70, 4)) == "1 workers became 4: they go on from step 70"
    assert books.note(began(90, 4)) == "the workers were moved: they go on from step 90"
    assert books.restarts == []


def test_warnings_are_told_and_kept() -> None:
    books = TrainingBooks()
    assert books.note({"event": "warned", "message": "the pooler is new"}) == "the pooler is new"
    assert books.warnings == ["the pooler is new"]


def test_what_was_delivered_and_an_early_end_are_told() -> None:
    books = TrainingBooks()
    ended = {"event": "ended", "step": 1200, "outcome": "done", "early": True, "delivered": {"metrics": {"f1": 0.5}}}
    assert books.note(ended) == "no better any more: it ended early, at step 1,200"
    assert (books.outcome, books.step, books.delivered) == ("done", 1200, {"metrics": {"f1": 0.5}})
