"""Runs of the real training job in processes of their own, and what they leave behind."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors.torch import load_file

from pipelines.store.location import locate
from pipelines.train.checkpoint import read
from pipelines.train.checkpoints import committed_steps, folder_of
from pipelines.train.trace import Seen, read_trace
from tests.sources import ROOT

NUM_INSTANCES = 64
GLOBAL_BATCH = 8
MAX_STEPS = 120
EVERY = 10
"""Steps between checkpoints."""
FLAGS = (
    "--spec.max_steps", str(MAX_STEPS), "--spec.global_batch", str(GLOBAL_BATCH), "--spec.num_streams", "4",
    "--spec.learning_rate", "0.001", "--spec.precision", "float32", "--train.num_cpus", "1", "--train.trace", "true",
    "--train.checkpoint_steps", str(EVERY), "--train.log_steps", "1", "--train.eval_steps", "40", "--progress", "log",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A command of the job, less the output, and the environment that it runs in."""

    flags: tuple[str, ...]
    environment: dict[str, str]

    def start(self, output: Path | str, workers: int | str, *flags: str) -> subprocess.Popen[str]:
        """The run, started, which goes on from a checkpoint where there is one."""
        return subprocess.Popen(
            self.command(output, workers, *flags), cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def command(self, output: Path | str, workers: int | str, *flags: str) -> list[str]:
        """The words of the command; later flags win."""
        command = [sys.executable, "-m", "jobs.pretrain", "--output", str(output), "--train.workers", str(workers)]
        return [*command, "--resume", *self.flags, *FLAGS, *flags]

    def on(self, environment: dict[str, str]) -> TrainingJob:
        """The same job on another cluster."""
        return replace(self, environment=environment)


def reached(output: Path, step: int) -> Callable[[], bool]:
    """Whether the workers have taken so many steps in hand since the last time that they were started."""
    return lambda: newest_step(output) >= step


def newest_step(output: Path) -> int:
    """The last step that the newest attempt has taken in hand; -1: none yet."""
    attempts = sorted(output.glob("_manta/trace/*"))
    files = sorted(attempts[-1].glob("*.jsonl")) if attempts else []
    firsts = [int(path.name.split("-")[0]) + len(path.read_text().splitlines()) - 1 for path in files]
    return max(firsts, default=-1)


def seen(output: Path | str) -> dict[int, list[Seen]]:
    """What each step was made of, as far as it counts."""
    return read_trace(locate(str(output)))


def check_each_once(output: Path | str, max_steps: int = MAX_STEPS) -> None:
    """Every step is there, each of as many instances as it should be, and every instance is seen once an epoch."""
    steps = seen(output)
    assert list(steps) == list(range(max_steps))
    assert {len(instances) for instances in steps.values()} == {GLOBAL_BATCH}
    count = Counter(instance for instances in steps.values() for instance in instances)
    assert set(count.values()) == {1}
    epochs = max_steps * GLOBAL_BATCH // NUM_INSTANCES
    assert Counter(epoch for epoch, _, _ in count) == dict.fromkeys(range(epochs), NUM_INSTANCES)


def curve(output: Path) -> dict[int, tuple[float, float]]:
    """Both losses by step, as the last checkpoint has them."""
    location = locate(str(output))
    history = read(location, folder_of(committed_steps(location)[-1])).history
    return {row["step"]: (row["loss_mlm"], row["loss_nsp"]) for row in history if row["event"] == "stepped"}


def check_same_curve(output: Path, other: Path, tolerance: float) -> None:
    """The same losses at every step, and the same weights at the end."""
    ours, theirs = curve(output), curve(other)
    assert list(ours) == list(theirs) == list(range(1, MAX_STEPS + 1))
    worst = max(abs(a - b) for step in ours for a, b in zip(ours[step], theirs[step], strict=True))
    assert worst <= tolerance
    mine, its = (load_file(place / "model.safetensors") for place in (output, other))
    assert mine.keys() == its.keys()
    assert max(float((mine[name] - its[name]).abs().max()) for name in mine) <= tolerance
