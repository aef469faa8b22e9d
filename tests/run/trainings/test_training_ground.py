"""What holds of any training's ground; those of the jobs are surveyed in tests of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import SpecError
from pipelines.learning_spec import TrainPool
from pipelines.pretrain_spec import PretrainSpec
from pipelines.run.trainings.training_ground import check_apart, check_batch
from pipelines.store.location import locate


def test_a_step_has_an_instance_for_each_worker_at_least() -> None:
    spec = PretrainSpec(architecture="bert-tiny", max_steps=1, global_batch=2)
    check_batch(spec, TrainPool(workers="1-2"))
    with pytest.raises(SpecError, match=r"PretrainSpec\.global_batch is 2, less than 3 workers: raise it, or lower"):
        check_batch(spec, TrainPool(workers="1-3"))


def test_inputs_lie_beside_the_output(tmp_path: Path) -> None:
    output = locate(str(tmp_path / "model"))
    check_apart(output, [("data", str(tmp_path / "model2")), ("model", "")])
    for place in (tmp_path, tmp_path / "model", tmp_path / "model/data"):
        with pytest.raises(SpecError, match=r"and the data .* lie in one another: give --output a folder beside"):
            check_apart(output, [("model", ""), ("data", str(place))])
