from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import FingerprintError, SpecError
from pipelines.learning_spec import TrainPool
from pipelines.run.finetune.finetune_ground import check_request
from pipelines.run.finetune.finetune_order import FinetuneOrder
from pipelines.store.location import locate
from pipelines.train.finetune_course import FinetuneCourse
from tests.train.given_task import ground, rows, spec_for

ROWS = rows(40)


def test_a_survey_finds_examples_model_and_what_is_told_of_them(tiny_model: Path, tmp_path: Path) -> None:
    found = ground(tmp_path, spec_for(tiny_model), ROWS)
    course = found.course
    assert isinstance(course, FinetuneCourse)
    assert (course.train.num_instances, course.held_out.num_instances) == (30, 10)
    assert (course.labels, course.class_counts, course.id_column) == (("gold", "union"), (15, 15), "id")
    assert course.spec.max_seqlen == 32
    about = found.about
    assert (about.job, about.objective, about.max_steps) == ("finetune", "classification", 12)
    assert about.made_of["evaluated on"] == "25% of the same, by the hash of the id"
    assert about.made_of["labels"] == "gold, union"
    assert about.pipeline == "text-classification"
    assert found.local_inputs == (f"{tmp_path}/examples/train", str(tiny_model))
    assert not (tmp_path / "model").exists()


def test_data_to_evaluate_on_are_named(tiny_model: Path, tmp_path: Path) -> None:
    from tests.labelled import write_rows

    write_rows(tmp_path / "others/0.parquet", rows(12, seed=1))
    found = ground(tmp_path, spec_for(tiny_model), ROWS, eval_data=str(tmp_path / "others"))
    course = found.course
    assert isinstance(course, FinetuneCourse)
    assert (course.train.num_instances, course.held_out.num_instances) == (40, 12)
    assert found.about.made_of["evaluated on"] == str(tmp_path / "others")
    assert f"{tmp_path}/examples/eval" in found.local_inputs
    alone = ground(tmp_path / "alone", spec_for(tiny_model), ROWS)
    assert alone.agreed.instances["hash"] != found.agreed.instances["hash"]


def test_what_decides_the_model_decides_the_fingerprint(tiny_model: Path, tmp_path: Path) -> None:
    spec = spec_for(tiny_model)

    def told(**fields: Any) -> str:
        return ground(tmp_path, replace(spec, **fields), ROWS).agreed.fingerprint

    ours = told()
    assert told(labels=["gold", "union"]) == ours  # as they are found
    assert len({ours, told(seed=1), told(epochs=2.0), told(patience=1), told(deliver="last")}) == 5


def test_a_checkpoint_is_gone_on_from_on_request(tiny_model: Path, tmp_path: Path) -> None:
    spec = spec_for(tiny_model)
    first = ground(tmp_path, spec, ROWS)
    assert first.claim() is None
    output = locate(str(tmp_path / "model"))
    output.put("_manta/checkpoints/step-000000004/state.json", b"{}")
    with pytest.raises(SpecError, match="has a checkpoint of step 4: go on from it with --resume"):
        ground(tmp_path, spec, ROWS).claim()
    assert ground(tmp_path, spec, ROWS, resume=True).claim() == 4
    with pytest.raises(FingerprintError, match=r"of another training: seed: 0 -> 1; .*\(--spec\.model"):
        ground(tmp_path, replace(spec, seed=1), ROWS, resume=True).claim()


def test_what_is_wrong_is_told_before_examples_are_made(tiny_model: Path, tmp_path: Path) -> None:
    order = FinetuneOrder(train_data=str(tmp_path / "data"), output=str(tmp_path / "model"))
    check_request(order, spec_for(tiny_model), TrainPool())
    with pytest.raises(SpecError, match=r"FinetuneSpec\.global_batch is 8, less than 9 workers"):
        check_request(order, spec_for(tiny_model), TrainPool(workers=9))
    with pytest.raises(SpecError, match="metric is 'rmse', and classification has accuracy, f1"):
        check_request(order, spec_for(tiny_model, metric="rmse"), TrainPool())
    locate(order.output).put("_manta/checkpoints/step-000000004/state.json", b"{}")
    with pytest.raises(SpecError, match="has a checkpoint of step 4: go on from it with --resume"):
        check_request(order, spec_for(tiny_model), TrainPool())
    check_request(replace(order, resume=True), spec_for(tiny_model), TrainPool())


def test_output_and_inputs_lie_apart(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"and the data .* lie in one another: give --output a folder beside"):
        ground(tmp_path, spec_for(tiny_model), ROWS, output=str(tmp_path))
    with pytest.raises(SpecError, match=r"and the model .* lie in one another"):
        ground(tmp_path, spec_for(tiny_model), ROWS, output=str(tiny_model))
