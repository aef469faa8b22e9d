from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import FingerprintError, SpecError
from pipelines.learning_spec import TrainPool
from pipelines.pretrain_spec import PretrainSpec
from pipelines.run.trainings.pretrain_ground import survey
from pipelines.run.trainings.training_ground import TrainingGround
from pipelines.run.trainings.training_order import TrainingOrder
from pipelines.store.location import locate
from pipelines.train.pretrain_course import PretrainCourse
from tests.tiny import listing
from tests.tiny_instances import prepare, write_config

SPEC = PretrainSpec(architecture="bert-tiny", max_steps=10, global_batch=8)


@pytest.fixture(scope="module")
def prepared(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("prepared") / "instances", tiny_model)


def ground(prepared: Path, output: Path | str, spec: PretrainSpec = SPEC, **more: Any) -> TrainingGround:
    pool = more.pop("pool", TrainPool())
    return survey(TrainingOrder(instances=str(prepared), output=str(output), **more), spec, pool)


def course_of(found: TrainingGround) -> PretrainCourse:
    assert isinstance(found.course, PretrainCourse)
    return found.course


def test_a_survey_finds_everything_and_writes_nothing(prepared: Path, tmp_path: Path) -> None:
    before = listing(prepared)
    found = ground(prepared, tmp_path / "model")
    course = course_of(found)
    assert (course.train.num_instances, course.held_out.num_instances) == (64, 12)
    assert course.train.num_rows.tolist() == [8] * 8
    assert course.spec.objective == "mlm+nsp"
    assert course.beginning.model is None
    assert course.beginning.config["hidden_size"] == 128
    assert (found.about.num_instances, found.about.num_held_out) == (64, 12)
    assert (found.about.objective, found.about.max_steps) == ("mlm+nsp", 10)
    assert found.local_inputs == (str(prepared),)
    assert found.local_output == str(tmp_path / "model")
    assert (found.newest_step, found.is_finished) == (None, False)
    assert listing(prepared) == before
    assert list(tmp_path.iterdir()) == []


def test_the_output_may_be_named_by_the_fingerprint(prepared: Path, tmp_path: Path) -> None:
    found = ground(prepared, f"{tmp_path}/{{fingerprint}}")
    assert found.output.path == f"{tmp_path}/{found.agreed.fingerprint}"
    assert len(found.agreed.fingerprint) == 16


def test_what_decides_the_model_decides_the_fingerprint(prepared: Path, tiny_model: Path, tmp_path: Path) -> None:
    config, same = write_config(tmp_path / "config.json"), write_config(tmp_path / "again.json")
    other = prepare(tmp_path / "others", tiny_model, parts=(40, 32))
    out = tmp_path / "model"

    def told(instances: Path = prepared, **fields: Any) -> str:
        return ground(instances, out, replace(SPEC, **fields)).agreed.fingerprint

    ours = told(architecture=str(config))
    assert told(architecture=str(same)) == ours  # by its content, not by its name
    assert told(architecture=str(config), objective="mlm+nsp") == ours  # as auto settles it
    differing = [told(architecture=str(config), seed=1), told(), told(architecture=str(tiny_model))]
    differing.append(told(other, architecture=str(config)))
    assert len({ours, *differing}) == 5


def test_a_checkpoint_is_gone_on_from(prepared: Path, tiny_model: Path, tmp_path: Path) -> None:
    found = ground(prepared, tmp_path / "model", replace(SPEC, architecture=str(tiny_model)))
    course = course_of(found)
    assert course.beginning.model is not None
    assert found.local_inputs == (str(prepared), str(tiny_model))
    assert course.beginning.architecture(course.storage).checkpoint is not None


@pytest.mark.parametrize(
    ("spec", "more", "told"),
    [
        ({"global_batch": 2}, {"pool": TrainPool(workers="1-3")}, "global_batch is 2, less than 3 workers: raise it"),
        ({"architecture": "nowhere.json"}, {}, "architecture nowhere.json: there is no such file"),
        ({"architecture": "./nowhere"}, {}, "there is no folder .*nowhere"),
        ({"objective": "causal"}, {}, "a bert network can't have the objective causal"),
        ({"objective": "mlm+sop"}, {}, r"the instances were made for mlm\+nsp"),
        ({}, {"user_code": "here"}, "user_code here is given, and no class of it"),
        ({"model_class": "nowhere.Bert"}, {}, "nowhere cannot be imported"),
        ({}, {"output": "file"}, "can't be a folder"),
    ],
)
def test_what_can_t_be_done_is_refused(
    prepared: Path, tmp_path: Path, spec: dict[str, Any], more: dict[str, Any], told: str
) -> None:
    (tmp_path / "file").write_text("")
    output = tmp_path / more.pop("output", "model")
    with pytest.raises(SpecError, match=told):
        ground(prepared, output, replace(SPEC, **spec), **more)


def test_an_architecture_that_does_not_fit_the_instances_is_refused(
    prepared: Path, tiny_model: Path, tmp_path: Path
) -> None:
    short = write_config(tmp_path / "short.json", max_position_embeddings=16)
    with pytest.raises(SpecError, match=r"the instances have up to 32 tokens, .*short.json has 16 positions"):
        ground(prepared, tmp_path / "model", replace(SPEC, architecture=str(short)))
    small = write_config(tmp_path / "small.json", vocab_size=10)
    with pytest.raises(SpecError, match=r"small.json knows 10: write a vocab_size of that at least"):
        ground(prepared, tmp_path / "model", replace(SPEC, architecture=str(small)))


def test_a_model_with_another_tokenizer_is_refused(prepared: Path, tmp_path: Path) -> None:
    from tests.tiny import save_model

    other = save_model(tmp_path / "other")
    content = (other / "tokenizer.json").read_text()
    (other / "tokenizer.json").write_text(content.replace('"union"', '"disunion"'))
    with pytest.raises(SpecError, match=r"the instances' tokenizer in .* is not that of .*other"):
        ground(prepared, tmp_path / "model", replace(SPEC, architecture=str(other)))


def test_what_is_no_output_of_prepare_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="holds no committed instances"):
        ground(tiny_model, tmp_path / "model")
    empty = prepare(tmp_path / "empty", tiny_model, parts=(0,), held_out=0)
    with pytest.raises(SpecError, match="holds no instances to train on"):
        ground(empty, tmp_path / "model")


def test_output_and_inputs_lie_apart(prepared: Path, tiny_model: Path, tmp_path: Path) -> None:
    for output in (prepared, prepared / "model", prepared.parent):
        with pytest.raises(SpecError, match=r"and the instances .* lie in one another: give --output a folder beside"):
            ground(prepared, output)
    with pytest.raises(SpecError, match=r"and the model .* lie in one another"):
        ground(prepared, tiny_model, replace(SPEC, architecture=str(tiny_model)))


def test_a_checkpoint_in_the_output_is_gone_on_from_on_request(prepared: Path, tmp_path: Path) -> None:
    first = ground(prepared, tmp_path / "model")
    assert first.claim() is None
    output = locate(str(tmp_path / "model"))
    output.put("_manta/checkpoints/step-000000004/state.json", b"{}")
    with pytest.raises(SpecError, match="has a checkpoint of step 4: go on from it with --resume"):
        ground(prepared, tmp_path / "model").claim()
    assert ground(prepared, tmp_path / "model", resume=True).claim() == 4
    with pytest.raises(FingerprintError, match="of another training: seed: 0 -> 1; nothing was touched"):
        ground(prepared, tmp_path / "model", replace(SPEC, seed=1), resume=True).claim()


def test_an_assignment_tells_a_worker_all(prepared: Path, tmp_path: Path) -> None:
    found = ground(prepared, tmp_path / "model", pool=TrainPool(trace=True))
    given = found.assignment("run7", 3)
    assert (given.run, given.num_threads, given.pool.trace) == ("run7", 3, True)
    assert given.identity == {"fingerprint": found.agreed.fingerprint}
    assert given.course is found.course
