"""What can be told without workers; ``tests/jobs/test_pretrain.py`` has them at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import SpecError
from pipelines.learning_spec import TrainPool
from pipelines.pretrain_spec import PretrainSpec
from pipelines.run.trainings.muster import Muster
from pipelines.run.trainings.pretrain_ground import survey
from pipelines.run.trainings.training_order import TrainingOrder
from tests.tiny_instances import prepare, write_config


def test_a_crew_without_a_place_is_refused_before_it_starts(
    ray_session: None, tiny_model: Path, tmp_path: Path
) -> None:
    instances = prepare(tmp_path / "instances", tiny_model)
    spec = PretrainSpec(architecture=str(write_config(tmp_path / "config.json")), max_steps=1)
    order = TrainingOrder(instances=str(instances), output=str(tmp_path / "model"))
    ground = survey(order, spec, TrainPool(workers=5, num_cpus=1))
    with pytest.raises(SpecError, match=r"5 workers x \(1 CPU\) are wanted, and there are places for 4"):
        Muster.of(ground, "run7")
