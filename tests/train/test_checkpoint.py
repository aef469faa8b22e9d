"""A checkpoint is what was written, or it is not used: every byte of it counts."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipelines.errors import StoreError
from pipelines.store.location import Location, locate
from pipelines.train.checkpoint import HISTORY, MODEL, OPTIMIZER, STATE, Checkpoint, CorruptError, State, read, write
from tests.servers import S3Server

FILES = (MODEL, OPTIMIZER, HISTORY, STATE)
CHECKPOINT = Checkpoint(
    state=State(
        step=3,
        position=30,
        tokens=400,
        seconds=1.5,
        tally={"steps": 1},
        merit=2.5,
        best_merit=3.5,
        best_step=2,
        num_worse=1,
    ),
    weights={"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(())},
    optimizer={"a.exp_avg": torch.full((2, 3), 0.1), "a.step": torch.tensor(3.0)},
    history=[{"event": "stepped", "step": 1, "loss": 0.1}, {"event": "evaluated", "step": 2, "loss": 0.2}],
)


def check(found: Checkpoint) -> None:
    """Bit by bit."""
    assert found.state == CHECKPOINT.state
    assert found.history == CHECKPOINT.history
    for mine, theirs in ((found.weights, CHECKPOINT.weights), (found.optimizer, CHECKPOINT.optimizer)):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.fixture
def output(tmp_path: Path) -> Location:
    """A new one."""
    return locate(str(tmp_path))


def test_what_was_written_is_read(output: Location) -> None:
    num_bytes = write(output, "c", CHECKPOINT, {"spec": "abc"})
    check(read(output, "c"))
    assert sorted(entry.key for entry in output.list()) == sorted(f"c/{name}" for name in FILES)
    assert num_bytes == sum(entry.size for entry in output.list() if not entry.key.endswith(STATE))
    assert json.loads(output.read(f"c/{STATE}"))["identity"] == {"spec": "abc"}


def test_it_goes_to_s3_and_back(s3: S3Server) -> None:
    output = locate(f"s3://{s3.bucket()}/out")
    write(output, "c", CHECKPOINT, {})
    check(read(output, "c"))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["gone", "cut", "flipped"])
def test_damage_is_noticed(output: Location, name: str, damage: str) -> None:
    write(output, "c", CHECKPOINT, {})
    path = Path(output.path, "c", name)
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        flipped = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
        path.write_bytes(data[:-1] if damage == "cut" else flipped)
    with pytest.raises(CorruptError, match=name.replace(".", r"\.")):
        read(output, "c")


def test_another_format_is_said(output: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    write(output, "c", CHECKPOINT, {})
    monkeypatch.setattr("pipelines.train.checkpoint.FORMAT", 3)
    with pytest.raises(CorruptError, match="it is of format 2, and this version of Manta reads 3"):
        read(output, "c")


@contextmanager
def no_large_file() -> Iterator[None]:
    """No file may be longer than 100 bytes, the log of the tests neither: what a full disk is to a writer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_cannot_be_written_is_one_line(output: Location) -> None:
    message = r"c/model\.safetensors: the file would be larger than allowed here"
    with no_large_file(), pytest.raises(StoreError, match=message):
        write(output, "c", CHECKPOINT, {})
    assert [entry.key for entry in output.list()] == []
    assert os.listdir(output.path) == ["_manta"]


def test_a_state_knows_its_best_evaluation_and_how_many_since_were_no_better() -> None:
    state = State()
    seen = []
    for step, merit in [(10, math.nan), (20, 0.5), (30, 0.5), (40, math.nan), (50, 0.75)]:
        state = replace(state, step=step).judged(merit)
        seen.append((state.best_merit, state.best_step, state.num_worse))
    assert seen == [(None, 0, 1), (0.5, 20, 0), (0.5, 20, 1), (0.5, 20, 2), (0.75, 50, 0)]
    assert state.merit == 0.75
