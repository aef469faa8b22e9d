"""A worker that is killed goes on from its newest checkpoint, as if nothing had been."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import torch

from pipelines.store.location import locate
from pipelines.train.checkpoints import committed_steps
from pipelines.train.events import Stepped
from tests.train.small import SmallModel, SmallSource, flat, small
from tests.train.workers import started


def train_until_killed(number: int, output: str, step: int) -> None:
    """Train, and be killed before this step."""
    torch.set_num_threads(1)  # as here: other numbers add up in another order
    source = SmallSource()
    steps = source.steps

    def deadly(*arguments: int) -> object:
        for done, share in enumerate(steps(*arguments), arguments[0] // 12):
            if done == step:
                os.kill(os.getpid(), signal.SIGKILL)
            yield share

    source.steps = deadly  # type: ignore[method-assign, assignment]
    small(Path(output), source=source, model=SmallModel(dropout=0.3)).training.run()


def test_killed_between_checkpoints(tmp_path: Path) -> None:
    """Killed before step 6 and before step 11; checkpoints are after 4, 8 and 12."""
    undisturbed = small(tmp_path / "one", model=SmallModel(dropout=0.3))
    undisturbed.training.run()
    for step, kept in ((6, [4]), (11, [4, 8])):
        (worker,) = started(1, train_until_killed, str(tmp_path / "two"), step)
        assert worker.wait() == -signal.SIGKILL
        assert committed_steps(locate(str(tmp_path / "two"))) == kept
    last = small(tmp_path / "two", model=SmallModel(dropout=0.3, seed=9))
    last.training.run()
    assert flat(last.model).tolist() == flat(undisturbed.model).tolist()
    assert [row.losses for row in last.of(Stepped)] == [row.losses for row in undisturbed.of(Stepped)][2:]
