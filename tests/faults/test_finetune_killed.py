"""A worker of a fine-tuning killed in the middle: the weights are those of one that nothing disturbed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipelines.learning_spec import TrainPool
from pipelines.model.device import pick_device
from pipelines.run.finetune.finetune_ground import survey
from pipelines.run.finetune.finetune_order import FinetuneOrder
from pipelines.train.ranks import Ranks
from tests.faults.nodes import Head
from tests.faults.runs import ended, until
from tests.faults.trainings import reached
from tests.labelled import examples_in_turn, write_rows
from tests.sources import ROOT
from tests.train.given_task import rows, spec_for
from tests.train.small_task import Run

EPOCHS = 24.0
FLAGS = (
    "--spec.task", "classification", "--spec.global_batch", "8", "--spec.learning_rate", "0.0003", "--spec.precision",
    "float32", "--spec.dropout", "0.1", "--spec.eval_share", "0.25", "--spec.epochs", str(EPOCHS), "--spec.deliver",
    "last", "--train.num_cpus", "1", "--train.checkpoint_steps", "20", "--train.log_steps", "1", "--train.trace",
    "true", "--progress", "log",
)  # fmt: skip


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("one_thread")
def test_a_worker_killed_leaves_the_weights_as_they_are(head: Head, tiny_model: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "data/0.parquet", rows(80))
    output = tmp_path / "model"
    command = [sys.executable, "-m", "jobs.finetune", "--train_data", str(tmp_path / "data"), "--output", str(output)]
    run = subprocess.Popen(
        [*command, "--spec.model", str(tiny_model), *FLAGS], cwd=ROOT, env=head.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(reached(output, 50), run)
    (worker,) = head.workers("RayTrainWorker")
    worker.kill()
    last = ended(run)
    assert last.code == 0, last.err
    assert "all are started again" in last.err
    undisturbed = _undisturbed(tiny_model, tmp_path)
    for name, weight in load_file(output / "model.safetensors").items():
        assert float((weight - undisturbed[name]).abs().max()) <= 1e-5


def _undisturbed(tiny_model: Path, folder: Path) -> dict[str, torch.Tensor]:
    """The weights of the same training in this process, on the examples that the job has made."""
    spec = spec_for(tiny_model, epochs=EPOCHS, learning_rate=3e-4, dropout=0.1, deliver="last")
    order = FinetuneOrder(
        train_data=str(folder / "data"), output=str(folder / "other"), examples=str(folder / "model/examples"),
        progress="none",
    )  # fmt: skip
    ground = survey(order, spec, TrainPool(), examples_in_turn(order, spec))
    run = Run(ground.assignment("run8", 1), folder / "other", Ranks())
    assert run.model.device == pick_device("cpu")
    run.run()
    return dict(run.model.module.state_dict())
