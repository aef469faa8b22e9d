"""A course is whatever the loop, the workers and the driver ask of it: here one that is counted by hand."""

from __future__ import annotations

from pipelines.train.course import Equipment
from pipelines.train.evaluation import LossEvaluator
from tests.train.small import SmallModel, SmallSource


def test_equipment_is_what_the_loop_is_made_of() -> None:
    model, source = SmallModel(), SmallSource()
    equipment = Equipment(
        model=model,
        source=source,
        evaluator=LossEvaluator(model, source.losses, "float32"),
        remarks=("the head is new",),
        facts=lambda: {"device": "cpu"},
        deliver=lambda outcome: {"step": outcome.weights_step},
    )
    assert equipment.source.losses == ("words", "classes")
