from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.pretrain_spec import PretrainSpec
from pipelines.run.trainings.beginning import Begun, begin
from pipelines.run.trainings.training_order import TrainingOrder
from pipelines.store.instances import InstanceOutput
from tests.tiny_instances import prepare, write_config

OWN = "from transformers import BertForPreTraining\n\n\nclass MyBert(BertForPreTraining):\n    pass\n"


@pytest.fixture(scope="module")
def instances(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> InstanceOutput:
    return InstanceOutput.open(str(prepare(tmp_path_factory.mktemp("made") / "instances", tiny_model)))


def begun(instances: InstanceOutput, architecture: str, user_code: str = "", **fields: Any) -> Begun:
    order = TrainingOrder(instances="here", output="there", user_code=user_code)
    return begin(order, PretrainSpec(architecture=architecture, max_steps=1, **fields), instances)


def test_a_preset_is_as_large_as_the_vocabulary(instances: InstanceOutput) -> None:
    found = begun(instances, "bert-mini")
    assert found.beginning.config["num_hidden_layers"] == 4
    assert found.beginning.config["vocab_size"] == 196
    assert (found.beginning.model, found.local_model, found.code) == (None, "", None)


def test_a_config_is_told_by_its_content_wherever_it_is(instances: InstanceOutput, tmp_path: Path) -> None:
    one, other = write_config(tmp_path / "one.json"), write_config(tmp_path / "other.json", hidden_size=64)
    digest = begun(instances, str(one)).beginning.hash
    assert begun(instances, f"file://{one}").beginning.hash == digest
    assert begun(instances, str(other)).beginning.hash != digest
    assert begun(instances, str(one)).beginning.name == str(one)


def test_a_model_is_told_by_its_files(instances: InstanceOutput, tiny_model: Path) -> None:
    found = begun(instances, str(tiny_model))
    assert found.beginning.model is not None
    assert found.beginning.hash == found.beginning.model.hash
    assert found.local_model == str(tiny_model)


def test_the_objective_is_settled(instances: InstanceOutput) -> None:
    assert begun(instances, "bert-tiny").spec.objective == "mlm+nsp"
    assert begun(instances, "bert-tiny", objective="mlm").spec.objective == "mlm"


def test_a_class_of_the_users_own_decides_by_its_code(instances: InstanceOutput, tmp_path: Path) -> None:
    config, code = write_config(tmp_path / "config.json"), tmp_path / "code"
    code.mkdir()
    (code / "mine_to_begin.py").write_text(OWN)
    plain = begun(instances, str(config))
    own = begun(instances, str(config), str(code), model_class="mine_to_begin.MyBert")
    assert own.code is not None
    assert own.beginning.hash != plain.beginning.hash
    (code / "mine_to_begin.py").write_text(OWN + "\n# another edition\n")
    later = begun(instances, str(config), str(code), model_class="mine_to_begin.MyBert")
    assert later.beginning.hash not in (own.beginning.hash, plain.beginning.hash)


def test_a_config_that_is_none_is_refused(instances: InstanceOutput, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(SpecError, match=r"is no JSON"):
        begun(instances, str(tmp_path / "config.json"))
