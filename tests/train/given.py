"""Assignments over the tiny vocabulary, as the driver would have given them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.learning_spec import TrainPool
from pipelines.pretrain_spec import PretrainSpec
from pipelines.run.trainings.pretrain_ground import survey
from pipelines.run.trainings.training_order import TrainingOrder
from pipelines.train.assignment import Assignment
from pipelines.train.pretrain_course import PretrainCourse


def assignment(
    instances: Path, output: Path, architecture: Path, pool: TrainPool = TrainPool(), **fields: Any
) -> Assignment:
    """What a worker of one thread is given to train on these instances."""
    fields = {
        "max_steps": 6,
        "global_batch": 16,
        "num_streams": 4,
        "learning_rate": 1e-3,
        "precision": "float32",
    } | fields
    spec = PretrainSpec(architecture=str(architecture), **fields)
    order = TrainingOrder(instances=str(instances), output=str(output))
    return survey(order, spec, pool).assignment("run7", 1)


def course(instances: Path, output: Path, architecture: Path, **fields: Any) -> PretrainCourse:
    """That of such an assignment."""
    found = assignment(instances, output, architecture, **fields).course
    assert isinstance(found, PretrainCourse)
    return found
