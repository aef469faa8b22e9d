"""The job, on real Ray: labelled Parquet in, a folder that others load out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from jobs.entry import parse, run
from jobs.finetune import finetune
from pipelines.errors import SpecError
from pipelines.finetune_spec import FinetuneSpec
from pipelines.learning_spec import TrainPool
from pipelines.predict_spec import PredictSpec
from pipelines.run.local import Predictor
from pipelines.spec import TokenizePool
from tests.labelled import write_rows
from tests.tiny import listing
from tests.train.given_task import rows, spec_for

TWO = TrainPool(workers=2, num_cpus=1, log_steps=5)


@pytest.fixture(scope="module")
def asked(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Arguments of the job."""
    folder = tmp_path_factory.mktemp("finetune")
    write_rows(folder / "data/0.parquet", rows(80))
    spec = spec_for(tiny_model, epochs=4.0)
    return {"spec": spec, "train_data": str(folder / "data"), "output": str(folder / "model"), "progress": "none"}


@pytest.fixture(scope="module")
def trained(ray_session: None, asked: dict[str, Any]) -> Path:
    """The output of a run of two workers."""
    assert finetune(**asked, train=TWO, cpu=TokenizePool(max_actors=1, num_cpus=0.5)) == 0
    return Path(asked["output"])


def test_the_model_tells_what_it_has_learnt(trained: Path) -> None:
    told = Predictor(PredictSpec(model=str(trained), outputs=["classify"])).predict(["the gold of peace", "a union"])
    assert [one["classify"]["label"] for one in told] == ["gold", "union"]


def test_metrics_and_card_say_how_well(trained: Path) -> None:
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["metrics"]["accuracy"] > 0.9
    assert metrics["examples"] == 20
    card = (trained / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert (front["library_name"], front["pipeline_tag"]) == ("transformers", "text-classification")
    read_back = {one.metric_name: one.metric_value for one in ModelCard.load(trained / "README.md").data.eval_results}
    assert read_back == metrics["metrics"]
    assert "| labels | gold, union |" in card
    for picture in ("confusion.png", "curves.png"):
        assert f"]({picture})" in card
        assert (trained / picture).read_bytes().startswith(b"\x89PNG")


def test_the_run_file_tells_what_it_came_to(trained: Path) -> None:
    (path,) = (trained / "_manta/runs").iterdir()
    told = json.loads(path.read_text())
    assert (told["job"], told["exit_code"], told["outcome"], told["objective"]) == (
        "finetune",
        0,
        "done",
        "classification",
    )
    assert (told["instances"], told["held_out"], told["workers"], told["step"]) == (60, 20, [2], 30)
    assert told["delivered"]["metrics"] == json.loads((trained / "metrics.json").read_text())["metrics"]
    assert "metric_accuracy" in told["evaluation"]


def test_a_finished_output_is_left_as_it_is(
    trained: Path, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(trained)
    assert finetune(**asked, train=TWO, resume=True) == 0
    assert "nothing to do, the training came to its end at step 30" in capsys.readouterr().out
    with pytest.raises(SpecError, match="has a checkpoint of step 30: go on from it with --resume"):
        finetune(**asked, train=TWO)
    assert listing(trained) == before


def test_examples_that_are_there_are_used_by_another_training(
    trained: Path, asked: dict[str, Any], tmp_path: Path
) -> None:
    before = listing(trained / "examples")
    other = {
        "spec": replace(asked["spec"], epochs=0.5, seed=1),
        "output": str(tmp_path),
        "examples": f"{trained}/examples",
    }
    assert finetune(**{**asked, **other}, train=replace(TWO, workers=1)) == 0
    assert listing(trained / "examples") == before
    assert json.loads((tmp_path / "metrics.json").read_text())["weights_of_step"] in (1, 2, 3, 4)


def test_flags_make_the_request() -> None:
    flags = ["--train_data", "d", "--output", "o", "--spec.model", "m", "--spec.task", "regression"]
    found = parse(finetune, [*flags, "--spec.patience", "2", "--spec.label", "score", "--train.workers", "2-8"])
    assert found["spec"] == FinetuneSpec(model="m", task="regression", label="score", patience=2)
    assert found["train"].worker_range == (2, 8)
    assert (found["train"].keep, found["resume"]) == (1, False)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--output", "o", "--spec.task", "classification"], "no data are named: give --train_data"),
        (["--train_data", "d", "--output", "o", "--spec.task", "embedding"], "needs one: name"),
        (["--train_data", "{tmp}/none", "--output", "{tmp}/o", "--spec.task", "regression"], "none"),
    ],
)  # fmt: skip
def test_a_request_that_is_wrong_is_one_line(
    flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--spec.model", "m", *flags]
    assert run(finetune, [flag.replace("{tmp}", str(tmp_path)) for flag in asked]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
