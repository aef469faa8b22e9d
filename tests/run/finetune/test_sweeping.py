"""Sweeps on real Ray: several trainings side by side, stopped and gone on with, and the best of them delivered."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jobs.entry import RayCluster, start, start_ray
from pipelines.errors import SpecError
from pipelines.evaluation_spec import EvaluationSpec
from pipelines.finetune_spec import FinetuneSpec
from pipelines.learning_spec import TrainPool
from pipelines.run.evaluations.evaluation import evaluate_model
from pipelines.run.evaluations.evaluation_order import EvaluationOrder
from pipelines.run.evaluations.means import Means
from pipelines.run.finetune.examples import make_examples
from pipelines.run.finetune.finetune_order import FinetuneOrder
from pipelines.run.finetune.sweep import Sweep
from pipelines.run.finetune.sweep_report import SweepReport
from pipelines.run.finetune.sweeping import run_sweep
from pipelines.run.stop import Brake
from pipelines.spec import EncodePool, TokenizePool
from tests.labelled import write_rows
from tests.tiny import own_data_context
from tests.train.given_task import rows, spec_for

pytestmark = pytest.mark.timeout(600)

POOL = TrainPool(num_cpus=1, num_threads=1, log_steps=5, keep=1)
CLUSTER = RayCluster()


def order_in(folder: Path, **more: Any) -> FinetuneOrder:
    if not (folder / "data/0.parquet").exists():
        write_rows(folder / "data/0.parquet", rows(48))
        write_rows(folder / "dev/0.parquet", rows(30, seed=1))
    data = {"train_data": str(folder / "data"), "eval_data": str(folder / "dev")}
    asked = {**data, "output": str(folder / "out"), "progress": "none", **more}
    return FinetuneOrder(**asked)


def swept(order: FinetuneOrder, spec: FinetuneSpec, sweep: Sweep) -> SweepReport:
    make = partial(make_examples, cpu=TokenizePool(max_actors=1, num_cpus=0.5), start=partial(start, cluster=CLUSTER))
    with own_data_context():
        return run_sweep(order, spec, POOL, sweep, make, partial(start_ray, CLUSTER))


def evaluated(model: Path, folder: Path) -> dict[str, float]:
    """What jobs.evaluate finds of a model on the same examples."""
    means = Means(begin=partial(start, cluster=CLUSTER), join=partial(start_ray, CLUSTER), gpu=EncodePool(num_cpus=1))
    order = EvaluationOrder(
        model=str(model), data=str(folder / "dev"), output=str(folder / "evaluated"), progress="none"
    )  # fmt: skip
    with own_data_context():
        (found,) = evaluate_model(order, EvaluationSpec(precision="float32"), means).evaluations
    return {name: value for name, value in found.metrics.items() if not name.startswith("loss_")}


@pytest.mark.usefixtures("ray_session")
def test_all_are_trained_and_the_best_is_delivered(tiny_model: Path, tmp_path: Path) -> None:
    spec = spec_for(tiny_model, epochs=1.0)
    sweep = Sweep(learning_rate=[1e-3, 3e-3])
    report = swept(order_in(tmp_path), spec, sweep)
    out = tmp_path / "out"
    names = ["lr0.001", "lr0.003"]
    assert report.exit_code == 0
    assert sorted(path.name for path in (out / "runs").iterdir()) == names
    scores = {name: json.loads((out / f"runs/{name}/metrics.json").read_text())["metrics"] for name in names}
    told = json.loads((out / "sweep.json").read_text())
    assert scores[told["best"]]["accuracy"] == max(one["accuracy"] for one in scores.values())
    assert {one["runs"][0]["name"]: one["runs"][0]["metrics"] for one in told["settings"]} == scores
    best = Path(told["best_output"])
    for name in ("model.safetensors", "config.json", "tokenizer.json", "metrics.json", "README.md"):
        assert (out / name).read_bytes() == (best / name).read_bytes()
    assert not (out / "_manta/spec.json").exists()
    assert evaluated(out, tmp_path) == pytest.approx(scores[told["best"]], abs=1e-6)
    assert len(list((out / "examples/train/parts").rglob("*.parquet"))) == 1  # made once, for all of them
    with pytest.raises(SpecError, match="go on from it with --resume"):
        swept(order_in(tmp_path), spec, sweep)
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*.safetensors")}
    more = replace(sweep, learning_rate=[1e-3, 3e-3, 2e-3])
    again = swept(order_in(tmp_path, resume=True), spec, more)
    assert {path: path.stat().st_mtime_ns for path in before} == before  # only what is missing is done
    (task,) = again.tasks
    assert [len(one.done) for one in task.settings] == [1, 1, 1]
    other = swept(order_in(tmp_path, resume=True), replace(spec, epochs=2.0), sweep)
    assert other.exit_code == 1
    assert all("FingerprintError" in result.failure for result in other.results)  # other trainings are there


@pytest.mark.usefixtures("ray_session")
def test_each_label_has_a_best_model_of_its_own(tiny_model: Path, tmp_path: Path) -> None:
    sweep = Sweep(label={"label": "classification", "value": "regression"})
    report = swept(order_in(tmp_path), spec_for(tiny_model, epochs=0.5), sweep)
    assert report.exit_code == 0
    out = tmp_path / "out"
    told = json.loads((out / "sweep.json").read_text())["tasks"]
    assert {label: one["metric"] for label, one in told.items()} == {"label": "accuracy", "value": "spearman"}
    for label, head in (("label", {"gold": 0, "union": 1}), ("value", {"value": 0})):
        model, run = out / "models" / label, out / "runs" / label
        assert json.loads((model / "config.json").read_text())["label2id"] == head
        assert (model / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
        assert len(list((out / "examples" / label / "train/parts").rglob("*.parquet"))) == 1
    assert not (out / "model.safetensors").exists()


@pytest.mark.usefixtures("ray_session")
def test_a_sweep_that_is_stopped_keeps_checkpoints_of_all_at_work(tiny_model: Path, tmp_path: Path) -> None:
    spec = spec_for(tiny_model, epochs=600.0)
    runs = [tmp_path / f"out/runs/seed{seed}" for seed in (0, 1)]

    def stop() -> None:
        while not all(list((one / "tensorboard").rglob("*")) for one in runs):
            time.sleep(0.2)
        time.sleep(2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop, daemon=True).start()
    with Brake(), pytest.raises(KeyboardInterrupt, match="--resume"):
        swept(order_in(tmp_path), spec, Sweep(seed=[0, 1]))
    kept = [sorted(path.name for path in (one / "_manta/checkpoints").iterdir()) for one in runs]
    assert all(kept)
    assert not (tmp_path / "out/sweep.json").exists()


def test_a_sweep_is_refused_before_anything_starts(tiny_model: Path, tmp_path: Path) -> None:
    def never(*_: Any) -> Any:
        pytest.fail("nothing is to start")

    spec = spec_for(tiny_model)
    with pytest.raises(SpecError, match="a sweep is of many specs"):
        run_sweep(order_in(tmp_path, output="{fingerprint}", examples="e"), spec, POOL, Sweep(seed=[1]), never, never)
    with pytest.raises(SpecError, match="learning_rate is -1"):
        run_sweep(order_in(tmp_path), spec, POOL, Sweep(learning_rate=[1e-4, -1.0]), never, never)
    with pytest.raises(SpecError, match="has no column 'tone'"):
        run_sweep(order_in(tmp_path), spec, POOL, Sweep(label=["label", "tone"]), never, never)
    two = replace(POOL, workers=2)
    with pytest.raises(SpecError, match="global_batch is 1, less than 2 workers"):
        run_sweep(order_in(tmp_path), spec, two, Sweep(global_batch=[8, 1]), never, never)
