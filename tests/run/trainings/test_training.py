"""A run of a training from the driver's side; the workers' events are written by hand."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import LeaseError, SpecError, StoreError
from pipelines.learning_spec import TrainPool
from pipelines.pretrain_spec import PretrainSpec
from pipelines.run.stop import Brake
from pipelines.run.trainings.crew import Crew
from pipelines.run.trainings.pretrain_ground import survey
from pipelines.run.trainings.training import TrainingRun, open_training
from pipelines.run.trainings.training_order import TrainingOrder
from pipelines.store.location import locate
from tests.tiny_instances import prepare, write_config

BEGAN = {"event": "began", "workers": 1, "step": 0, "device": "cpu", "chip": "NVIDIA H100"}
STEPPED = {
    "event": "stepped", "step": 10, "position": 160, "tokens": 4000, "seconds": 2.0, "progress": 0.5, "workers": 1,
    "tokens_per_second": 2000.0, "data_wait": 0.01, "flops_per_second": 98.9e12, "loss_mlm": 5.0, "loss": 5.0,
}  # fmt: skip
EVALUATED = {"event": "evaluated", "step": 20, "merit": -4.0, "loss": 4.0, "loss_mlm": 4.0}
KEPT = {"event": "checkpointed", "step": 20, "uri": "/o", "num_bytes": 1000, "seconds": 0.5}
ENDED = {"event": "ended", "step": 20, "outcome": "done"}
STOPS_AT_7: list[Any] = [[KEPT | {"step": 7}], [{"event": "ended", "step": 7, "outcome": "stopped"}]]


class Muster:
    """Workers who do what is written: a list of what happens at each poll."""

    crew = Crew(least=1, most=1, num_cpus=1, num_gpus=0, num_threads=1)

    def __init__(self, polls: list[list[dict[str, Any]] | Callable[[], None]], error: Exception | None = None) -> None:
        self.polls, self.error, self.asked = iter(polls), error, False
        self.coming: list[dict[str, Any]] = []

    def wait(self, seconds: float) -> bool:
        happens = next(self.polls, None)
        if happens is None:
            return True
        if callable(happens):
            happens()
        else:
            self.coming = happens
        return False

    def events(self) -> list[dict[str, Any]]:
        events, self.coming = self.coming, []
        return events

    def stop(self) -> None:
        self.asked = True

    def waits_for(self) -> str:
        return "room for a further worker (1 CPU each)"

    def raise_error(self) -> None:
        if self.error:
            raise self.error


@pytest.fixture(scope="module")
def instances(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("made") / "instances", tiny_model)


@contextmanager
def opened(instances: Path, tmp_path: Path, **order: Any) -> Iterator[TrainingRun]:
    spec = PretrainSpec(architecture=str(write_config(tmp_path / "config.json")), max_steps=20, global_batch=16)
    asked = TrainingOrder(instances=str(instances), output=str(tmp_path / "model"), **{"progress": "log", **order})
    with open_training(lambda: survey(asked, spec, TrainPool()), asked.progress) as training:
        yield training


def follow(training: TrainingRun, muster: Muster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.run.trainings.muster.Muster.of", lambda ground, run: muster)
    training.starting()
    training.follow()


def run_file(tmp_path: Path) -> dict[str, Any]:
    (path,) = (tmp_path / "model/_manta/runs").iterdir()
    told: dict[str, Any] = json.loads(path.read_text())
    return told


def test_a_training_is_told_kept_and_reported(
    instances: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []
    with opened(instances, tmp_path) as training:
        assert training.has_work
        training.observers.append(lambda event: seen.append(event["event"]))
        follow(training, Muster([[], [BEGAN, STEPPED], [EVALUATED, KEPT], [ENDED]]), monkeypatch)
        report = training.finish()
    assert seen == ["began", "stepped", "evaluated", "checkpointed", "ended"]
    assert capsys.readouterr().err.splitlines() == [
        "start  waiting for room for a further worker (1 CPU each)",
        "train  step 10 of 20 (50 %), mlm 5.000, 2.0k tokens/s, data wait 1 %, MFU 10 %",
        "held out at step 20: mlm 4.000",
    ]
    assert (report.exit_code, report.step, report.outcome, report.instances) == (0, 20, "done", 64)
    assert run_file(tmp_path)["run"] == report.run
    assert json.loads((tmp_path / "model/_manta/finished.json").read_text())["step"] == 20
    assert {"plan", "start", "train"} == report.phase_seconds.keys()


def test_a_finished_training_has_nothing_to_do(
    instances: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(instances, tmp_path) as training:
        follow(training, Muster([[BEGAN, KEPT, ENDED]]), monkeypatch)
        training.finish()
    locate(str(tmp_path / "model")).put("_manta/checkpoints/step-000000020/state.json", b"{}")
    with pytest.raises(SpecError, match="has a checkpoint of step 20"), opened(instances, tmp_path):
        pass
    with opened(instances, tmp_path, resume=True) as training:
        assert not training.has_work
        report = training.finish()
    assert (report.exit_code, report.step, report.crew) == (0, 20, None)
    assert len(list((tmp_path / "model/_manta/runs").iterdir())) == 1


def test_resuming_where_nothing_is_begins_and_says_so(
    instances: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(instances, tmp_path, resume=True) as training:
        assert training.has_work
    assert "has no checkpoint to go on from: the training begins" in capsys.readouterr().err


def test_a_signal_is_followed_by_a_checkpoint_and_a_report(
    instances: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def signalled() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    muster = Muster([[BEGAN], signalled, *STOPS_AT_7])
    with (
        Brake(),
        opened(instances, tmp_path) as training,
        pytest.raises(KeyboardInterrupt, match="checkpoints stay; run the same command with --resume"),
    ):
        follow(training, muster, monkeypatch)
    assert muster.asked
    told = run_file(tmp_path)
    assert (told["exit_code"], told["step"], told["outcome"]) == (143, 7, "stopped")
    assert "stopping after a checkpoint; once more, and it is not waited for" in capsys.readouterr().err
    assert not (tmp_path / "model/_manta/finished.json").exists()


def test_a_signal_before_anybody_heard_of_the_workers_is_followed_by_a_checkpoint(
    instances: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They began and told so while the driver was doing something else."""

    def signalled() -> None:
        muster.coming = [BEGAN]
        os.kill(os.getpid(), signal.SIGTERM)

    muster = Muster([signalled, *STOPS_AT_7])
    with Brake(), opened(instances, tmp_path) as training, pytest.raises(KeyboardInterrupt, match="with --resume"):
        follow(training, muster, monkeypatch)
    assert (run_file(tmp_path)["step"], run_file(tmp_path)["outcome"]) == (7, "stopped")


def test_a_signal_while_events_are_taken_loses_none_of_them(
    instances: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Muster):
        def events(self) -> list[dict[str, Any]]:
            told = super().events()
            if told == [BEGAN]:  # it is on the desk no more
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.01)
            return told

    muster = Interrupted([[BEGAN], lambda: time.sleep(60), *STOPS_AT_7])
    with Brake(), opened(instances, tmp_path) as training, pytest.raises(KeyboardInterrupt, match="with --resume"):
        follow(training, muster, monkeypatch)
    assert (run_file(tmp_path)["step"], run_file(tmp_path)["outcome"]) == (7, "stopped")


def test_a_second_signal_is_not_waited_for(instances: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def signalled() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def never() -> None:
        raise AssertionError("it is waited for")

    with Brake(), opened(instances, tmp_path) as training, pytest.raises(KeyboardInterrupt, match="with --resume"):
        follow(training, Muster([[BEGAN], signalled, signalled, never]), monkeypatch)
    assert not (tmp_path / "model/_manta/runs").exists()


def test_workers_that_failed_for_good_end_the_run(
    instances: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = {"event": "failed", "rank": 0, "reason": "its process died"}
    muster = Muster([[BEGAN], [failed]], StoreError("the training failed"))
    with opened(instances, tmp_path) as training, pytest.raises(StoreError, match="the training failed"):
        follow(training, muster, monkeypatch)
    assert "worker 0 failed: its process died; all are started again" in capsys.readouterr().err


def test_workers_that_end_before_the_training_does_finish_nothing(
    instances: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    muster = Muster([[BEGAN, STEPPED]])
    with opened(instances, tmp_path) as training, pytest.raises(StoreError, match="ended before the training did"):
        follow(training, muster, monkeypatch)
    assert not (tmp_path / "model/_manta/finished.json").exists()


def test_one_run_at_a_time_has_an_output(instances: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(instances, tmp_path) as training:
        with pytest.raises(LeaseError, match="is held by"), opened(instances, tmp_path):
            pass
        monkeypatch.setattr(type(training._lease), "lost", "it was taken over")
        muster = Muster([[BEGAN], [STEPPED]])
        with pytest.raises(LeaseError, match="is no longer held by this run: it was taken over"):
            follow(training, muster, monkeypatch)
        assert muster.asked  # to stop
