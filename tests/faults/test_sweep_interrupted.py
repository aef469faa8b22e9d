"""A sweep in a terminal, stopped by Ctrl-C in the midst of its second run, and gone on with by the same command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipelines.store.location import locate
from pipelines.train.checkpoints import committed_steps
from tests.faults.nodes import Head
from tests.faults.runs import Job, until
from tests.faults.test_signals import terminal
from tests.faults.trainings import reached
from tests.labelled import write_rows
from tests.tiny import listing
from tests.train.given_task import rows

FLAGS = (
    "--spec.task", "classification", "--spec.global_batch", "8", "--spec.precision", "float32", "--spec.eval_share",
    "0.25", "--spec.epochs", "0", "--spec.max_steps", "300", "--sweep.seed", "[0,1]", "--train.num_cpus", "3",
    "--train.trace", "true", "--cpu.max_actors", "1", "--progress", "log",
)  # fmt: skip
"""Of such workers a head of four CPUs has room for one: its runs come one after another."""


@pytest.mark.timeout(600)
def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(head: Head, tiny_model: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "data/0.parquet", rows(80))
    flags = ("--train_data", str(tmp_path / "data"), "--spec.model", str(tiny_model), *FLAGS)
    job = Job(flags=flags, environment=head.environment, module="jobs.finetune")
    output = tmp_path / "model"
    done, under_way = (output / f"runs/seed{seed}" for seed in (0, 1))
    with terminal(job.command(output), head.environment) as view:
        until(reached(under_way, 20), view.run)
        os.write(view.master, b"\x03")
        view.run.wait()
    assert view.run.returncode == 130, view.text
    assert view.last_line == "interrupted: checkpoints stay; run the same command with --resume to go on"
    assert not (output / "sweep.json").exists()
    *_, step = committed_steps(locate(str(under_way)))
    assert 20 <= step < 300
    before = listing(done)
    last = job.run(output, "--resume")
    assert last.code == 0, last.err
    assert "seed0  is done" in last.err
    assert "seed1  goes on" in last.err
    assert "finetune: 2 of 2 runs done" in last.out
    assert listing(done) == before
    assert _begun(under_way) == [0, step]
    told = json.loads((output / "sweep.json").read_text())
    (setting,) = told["settings"]
    scores = [json.loads((one / "metrics.json").read_text())["metrics"] for one in (done, under_way)]
    assert [one["metrics"] for one in setting["runs"]] == scores
    best = output / "runs" / told["best"]
    assert (output / "model.safetensors").read_bytes() == (best / "model.safetensors").read_bytes()


def _begun(output: Path) -> list[int]:
    """The step that each attempt began with."""
    attempts = sorted(output.glob("_manta/trace/*"))
    return [min(int(path.name.split("-")[0]) for path in attempt.iterdir()) for attempt in attempts]
