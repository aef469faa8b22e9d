"""The job, on real Ray Train: two workers on a laptop, and what others load of what they leave."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForPreTraining

from jobs.entry import parse, run
from jobs.pretrain import pretrain
from pipelines.errors import FingerprintError, SpecError
from pipelines.learning_spec import TrainPool
from pipelines.predict_spec import PredictSpec
from pipelines.pretrain_spec import PretrainSpec
from pipelines.run.local import Encoder, Predictor
from pipelines.spec import EmbedSpec
from pipelines.store.location import locate
from pipelines.train.trace import read_trace
from tests.tiny import listing
from tests.tiny_instances import prepare, write_config

TWO = TrainPool(workers=2, num_cpus=1, checkpoint_steps=4, eval_steps=4, log_steps=2, trace=True)
NUM_INSTANCES = 64


@pytest.fixture(scope="module")
def asked(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Arguments of the job."""
    folder = tmp_path_factory.mktemp("pretrain")
    spec = PretrainSpec(
        architecture=str(write_config(folder / "config.json")), max_steps=8, global_batch=16, num_streams=4,
        learning_rate=3e-3, precision="float32",
    )  # fmt: skip
    instances = prepare(folder / "instances", tiny_model)
    return {"spec": spec, "instances": str(instances), "output": str(folder / "model"), "progress": "none"}


@pytest.fixture(scope="module")
def trained(ray_session: None, asked: dict[str, Any]) -> Path:
    """The output of a run of two workers."""
    assert pretrain(**asked, train=TWO) == 0
    return Path(asked["output"])


def test_others_load_what_was_trained(trained: Path) -> None:
    model = AutoModelForPreTraining.from_pretrained(trained)
    assert model.config.num_hidden_layers == 2
    vectors = Encoder(EmbedSpec(model=str(trained))).encode(["the union", "a ship of gold"])
    assert vectors.shape == (2, 32)
    assert np.isfinite(vectors).all()
    (answer,) = Predictor(PredictSpec(model=str(trained), outputs=["fill_mask"])).predict(["the [MASK] of peace"])
    assert len(answer["fill_mask"]) == 1


def test_two_workers_see_each_instance_once_an_epoch(trained: Path) -> None:
    steps = read_trace(locate(str(trained)))
    assert list(steps) == list(range(8))
    seen = Counter(instance for step in steps.values() for instance in step)
    assert set(seen.values()) == {1}
    assert Counter(epoch for epoch, _, _ in seen) == {0: NUM_INSTANCES, 1: NUM_INSTANCES}


def test_the_run_file_tells_what_it_came_to(trained: Path) -> None:
    (path,) = (trained / "_manta/runs").iterdir()
    told = json.loads(path.read_text())
    assert (told["job"], told["exit_code"], told["outcome"]) == ("pretrain", 0, "done")
    assert (told["first_step"], told["step"], told["workers"], told["restarts"]) == (0, 8, [2], [])
    assert (told["instances"], told["held_out"], told["objective"]) == (NUM_INSTANCES, 12, "mlm+nsp")
    assert told["row"]["position"] == 8 * 16
    assert {"loss_mlm", "loss_nsp", "accuracy_mlm", "perplexity_mlm"} <= told["evaluation"].keys()
    assert told["facts"]["precision"] == "float32"
    assert told["phase_seconds"].keys() == {"plan", "start", "train"}


def test_a_finished_output_is_left_as_it_is(
    trained: Path, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(trained)
    assert pretrain(**asked, train=TWO, resume=True) == 0
    assert "nothing to do, the training came to its end at step 8" in capsys.readouterr().out
    with pytest.raises(SpecError, match="has a checkpoint of step 8: go on from it with --resume"):
        pretrain(**asked, train=TWO)
    with pytest.raises(FingerprintError, match="seed: 0 -> 1; nothing was touched"):
        pretrain(**asked | {"spec": replace(asked["spec"], seed=1)}, train=TWO, resume=True)
    assert listing(trained) == before


def test_flags_make_the_request() -> None:
    flags = ["--instances", "i", "--output", "o", "--spec.architecture", "bert-mini", "--train.workers", "2-8"]
    found = parse(pretrain, [*flags, "--spec.time_budget", "2h", "--resume"])
    assert found["spec"] == PretrainSpec(architecture="bert-mini", time_budget="2h")
    assert found["train"].worker_range == (2, 8)
    assert found["resume"] is True


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--spec.architecture", "bert-tiny", "--spec.max_steps", "9"], "no instances are named: give --instances"),
        (["--instances", "i", "--output", "o", "--spec.architecture", "bert-tiny"], "no length of the training"),
        (["--instances", "{tmp}", "--output", "o", "--spec.architecture", "bert-tiny", "--spec.max_steps", "9"],
         "{tmp} holds no committed instances"),
    ],
)  # fmt: skip
def test_a_request_that_is_wrong_is_one_line(
    flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(pretrain, [flag.replace("{tmp}", str(tmp_path)) for flag in flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told.replace("{tmp}", str(tmp_path)) in line
