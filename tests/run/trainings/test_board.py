from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.run.trainings.board import Board, tag
from pipelines.store.location import locate
from tests.servers import S3Server


def read(folder: Path, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, round(event.value, 4)) for event in events.Scalars(tag)]


def test_numbers_are_grouped_by_what_they_are() -> None:
    assert [tag(name) for name in ("loss_mlm", "accuracy_nsp", "perplexity_mlm", "learning_rate", "loss")] == [
        "loss/mlm", "accuracy/nsp", "perplexity/mlm", "training/learning_rate", "training/loss",
    ]  # fmt: skip


def test_tensorboard_reads_the_steps_and_the_evaluations(tmp_path: Path) -> None:
    with Board(locate(str(tmp_path))) as board:
        board.add({"step": 10, "loss_mlm": 9.5, "learning_rate": 1e-4})
        board.add({"step": 20, "loss_mlm": 8.25})
        board.add({"step": 20, "loss_mlm": 8.5}, held_out=True)
    assert read(tmp_path / "tensorboard" / "train", "loss/mlm") == [(10, 9.5), (20, 8.25)]
    assert read(tmp_path / "tensorboard" / "held_out", "loss/mlm") == [(20, 8.5)]
    assert read(tmp_path / "tensorboard" / "train", "training/learning_rate") == [(10, 0.0001)]


def test_what_a_resumed_training_does_again_takes_the_place_of_what_was(tmp_path: Path) -> None:
    with Board(locate(str(tmp_path))) as board:
        for step in (10, 20, 30):
            board.add({"step": step, "loss_mlm": 9.0})
    with Board(locate(str(tmp_path)), first_step=20) as board:
        board.add({"step": 20, "loss_mlm": 7.0})
        board.add({"step": 30, "loss_mlm": 6.0})
    assert read(tmp_path / "tensorboard" / "train", "loss/mlm") == [(10, 9.0), (20, 7.0), (30, 6.0)]


def test_events_reach_s3(s3: S3Server, tmp_path: Path) -> None:
    output = locate(f"s3://{s3.bucket()}/run")
    with Board(output) as board:
        board.add({"step": 10, "loss_mlm": 9.5})
    (entry,) = output.list("tensorboard/")
    (tmp_path / Path(entry.key).name).write_bytes(output.read(entry.key))
    assert read(tmp_path, "loss/mlm") == [(10, 9.5)]
