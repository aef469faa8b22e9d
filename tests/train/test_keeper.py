from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pipelines.errors import StoreError
from pipelines.store.location import Location, locate
from pipelines.train.checkpoint import Checkpoint, State
from pipelines.train.checkpoints import Checkpoints, committed_steps
from pipelines.train.events import Checkpointed, Event, Warned
from pipelines.train.keeper import PAUSES, Keeper
from pipelines.train.ranks import Ranks


def keeper(output: Path, events: list[Event], **settings: object) -> Keeper:
    checkpoints = Checkpoints(locate(str(output)), {}, keep=5)
    return Keeper(checkpoints, observer=events.append, sleep=lambda seconds: None, **settings)  # type: ignore[arg-type]


def checkpoint(step: int, size: int = 4) -> Checkpoint:
    return Checkpoint(state=State(step=step), weights={"a": torch.ones(size)}, optimizer={}, history=[])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"every_steps": 4}, [4, 8]),
        ({"every_seconds": 30.0}, [3, 6, 9]),
        ({"every_steps": 4, "every_seconds": 30.0}, [3, 4, 7, 8]),
        ({}, []),
    ],
)
def test_due_by_steps_and_by_time(tmp_path: Path, settings: dict[str, float], expected: list[int]) -> None:
    """A step takes ten seconds; time counts from the last one."""
    ours = keeper(tmp_path, [], **settings)
    for step in range(10):
        state = State(step=step, seconds=10.0 * step)
        if ours.is_due(state):
            ours.keep(state, lambda step=step: checkpoint(step))  # type: ignore[misc]
    assert committed_steps(locate(str(tmp_path))) == expected


def test_what_is_kept_is_not_kept_again(tmp_path: Path) -> None:
    events: list[Event] = []
    ours = keeper(tmp_path, events)
    for _ in range(2):
        ours.keep(State(step=3), lambda: checkpoint(3))
    assert [type(event) for event in events] == [Checkpointed]
    again = keeper(tmp_path, events, every_steps=3)
    found = again.newest()
    assert found is not None
    assert found.state.step == 3
    assert not again.is_due(found.state)


def test_others_than_the_first_write_nothing(tmp_path: Path) -> None:
    keeper(tmp_path, [], ranks=Ranks(1, 2)).keep(State(step=3), lambda: checkpoint(3))
    assert committed_steps(locate(str(tmp_path))) == []


def test_a_store_that_comes_back_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    put, failures = Location.put, iter([True, False, False, False])

    def flaky(self: Location, key: str, data: bytes) -> object:
        if next(failures, False):
            raise StoreError("the server does not answer")
        return put(self, key, data)

    monkeypatch.setattr(Location, "put", flaky)
    keeper(tmp_path, events).keep(State(step=3), lambda: checkpoint(3))
    assert [type(event) for event in events] == [Warned, Checkpointed]
    assert events[0] == Warned(
        message=f"no checkpoint of step 3 yet: the server does not answer; next try in {PAUSES[0]:g} s"
    )
    assert committed_steps(locate(str(tmp_path))) == [3]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a disk")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_full_disk_ends_it_in_one_line_and_the_checkpoints_before_stay(small_disk: Path) -> None:
    events: list[Event] = []
    ours = keeper(small_disk, events)
    ours.keep(State(step=1), lambda: checkpoint(1, size=20_000))
    with pytest.raises(StoreError, match=r"model\.safetensors: the disk is full: make room and run again"):
        ours.keep(State(step=2), lambda: checkpoint(2, size=60_000))
    assert [type(event) for event in events] == [Checkpointed, Warned, Warned]
    files = sorted(path.name for path in small_disk.rglob("*") if path.is_file())
    assert files == ["history.jsonl", "model.safetensors", "optimizer.safetensors", "state.json"]
    found = keeper(small_disk, events).newest()
    assert found is not None
    assert found.state.step == 1
