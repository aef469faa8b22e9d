"""Which checkpoints there are: the newest that is whole, the last few, the best."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from pipelines.errors import FingerprintError, LeaseError, StoreError
from pipelines.store.location import Location, locate
from pipelines.train.checkpoint import MODEL, STATE, Checkpoint, State
from pipelines.train.checkpoints import FOLDER, Checkpoints, committed_steps, folder_of

IDENTITY = {"spec": "abc", "instances": "def"}


def checkpoint(step: int, merit: float | None = None) -> Checkpoint:
    state = State(step=step, position=10 * step, merit=merit)
    return Checkpoint(state=state, weights={"a": torch.full((4,), float(step))}, optimizer={}, history=[])


@pytest.fixture
def output(tmp_path: Path) -> Location:
    """A new one."""
    return locate(str(tmp_path))


def of(output: Location, keep: int = 2) -> Checkpoints:
    return Checkpoints(output, IDENTITY, keep)


def damage(output: Location, step: int) -> None:
    path = Path(output.path, folder_of(step), MODEL)
    path.write_bytes(path.read_bytes()[:-1])


def newest(checkpoints: Checkpoints) -> tuple[int | None, list[str]]:
    said: list[str] = []
    found = checkpoints.newest(said.append)
    return found.state.step if found else None, said


def test_there_is_none(output: Location) -> None:
    assert newest(of(output)) == (None, [])
    assert of(output).best() is None


def test_the_last_few_are_kept_and_the_best(output: Location) -> None:
    checkpoints = of(output)
    for step, merit in [(1, -3.0), (2, -1.0), (3, None), (4, -2.0), (10, -1.5), (11, math.nan)]:
        checkpoints.save(checkpoint(step, merit))
    assert committed_steps(output) == [2, 10, 11]
    assert checkpoints.best() == (2, -1.0)
    assert newest(of(output)) == (11, [])
    checkpoints.save(checkpoint(12, -0.5))
    assert committed_steps(output) == [11, 12]
    assert checkpoints.best() == (12, -0.5)


def test_of_none_that_was_evaluated_none_is_the_best(output: Location) -> None:
    of(output).save(checkpoint(1))
    assert of(output).best() is None


def test_one_that_is_not_whole_is_said_and_the_one_before_is_used(output: Location) -> None:
    for step in (1, 2, 3):
        of(output, keep=3).save(checkpoint(step))
    damage(output, 3)
    Path(output.path, folder_of(2), STATE).write_bytes(b"{")
    checkpoints = of(output, keep=3)
    step, said = newest(checkpoints)
    assert step == 1
    assert said == [
        f"the checkpoint {output}/{folder_of(3)} is not used: {MODEL} is not what was written (79 bytes for 80); "
        "the one before is",
        f"the checkpoint {output}/{folder_of(2)} is not used: {STATE} cannot be read (it ends too early, or is no "
        "JSON); the one before is",
    ]
    assert committed_steps(output) == [1, 2, 3]  # nothing is thrown away before there is something better
    checkpoints.save(checkpoint(3))
    assert committed_steps(output) == [1, 3]
    assert newest(of(output)) == (3, [])


def test_a_broken_one_does_not_count_as_the_newest_that_is_kept(output: Location) -> None:
    for step in (1, 9):
        of(output).save(checkpoint(step))
    damage(output, 9)
    checkpoints = of(output, keep=1)
    assert newest(checkpoints)[0] == 1
    checkpoints.save(checkpoint(2))
    assert committed_steps(output) == [2]


def test_none_that_is_whole_is_an_error(output: Location) -> None:
    of(output).save(checkpoint(1))
    damage(output, 1)
    with pytest.raises(StoreError, match=r"none of the 1 checkpoints in .+ can be used: restore"):
        newest(of(output))


def test_one_that_was_not_committed_is_not_seen_and_goes(output: Location) -> None:
    of(output).save(checkpoint(1))
    output.put(f"{folder_of(2)}/{MODEL}", b"half")
    assert newest(of(output)) == (1, [])
    of(output).save(checkpoint(3))
    assert [entry.key for entry in output.list(folder_of(2))] == []


def test_a_commit_that_fails_leaves_those_before(output: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    of(output).save(checkpoint(1))

    def fail(self: Location, key: str, data: bytes) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(Location, "put", fail)
    with pytest.raises(StoreError, match="the disk is full"):
        of(output).save(checkpoint(2))
    assert {entry.key.split("/")[2] for entry in output.list(FOLDER)} == {folder_of(1).split("/")[2]}
    assert newest(of(output)) == (1, [])


def test_a_broken_one_is_not_the_best(output: Location) -> None:
    of(output).save(checkpoint(1, -3.0))
    of(output).save(checkpoint(2, -1.0))
    damage(output, 2)
    checkpoints = of(output)
    newest(checkpoints)
    checkpoints.save(checkpoint(3, -2.0))
    assert checkpoints.best() == (3, -2.0)
    assert committed_steps(output) == [1, 3]


def test_of_another_training(output: Location) -> None:
    of(output).save(checkpoint(1))
    other = Checkpoints(output, {**IDENTITY, "instances": "xyz"}, 2)
    with pytest.raises(FingerprintError, match="is of another training: instances: 'def' -> 'xyz'; go on with"):
        newest(other)


def test_a_worker_that_is_not_to_write_any_more_commits_nothing(output: Location) -> None:
    def guard() -> None:
        raise LeaseError("another run holds the output")

    of(output).save(checkpoint(3))
    with pytest.raises(LeaseError):
        Checkpoints(output, IDENTITY, 2, guard).save(checkpoint(4))
    assert newest(of(output)) == (3, [])
