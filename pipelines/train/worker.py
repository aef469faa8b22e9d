"""What each worker of a training does, from its start to its end. Ray Train starts it, and starts it again.

It is the same the first time, after a failure and after a resize: what there is to go on from is the output's newest
checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import ray
import torch

from pipelines.store.lease import check_holder
from pipelines.train.assignment import Assignment
from pipelines.train.checkpoint import State
from pipelines.train.checkpoints import Checkpoints
from pipelines.train.course import Equipment
from pipelines.train.events import Warned
from pipelines.train.keeper import Keeper
from pipelines.train.line import Line, no_notice, notice_from_ray
from pipelines.train.loop import Outcome, Training
from pipelines.train.memory import keep_freed_memory
from pipelines.train.ranks import Ranks
from pipelines.train.recipe import Cadence


def work(config: Mapping[str, Any]) -> None:
    """Train on this worker of Ray Train: "assignment" is an ``Assignment``, "desk" a handle of the desk."""
    assignment: Assignment = config["assignment"]
    torch.set_num_threads(assignment.num_threads)
    keep_freed_memory()
    attend(assignment, config["desk"], Ranks.joined(), has_notice=notice_from_ray)


def attend(assignment: Assignment, desk: Any, ranks: Ranks, has_notice: Callable[[], bool] = no_notice) -> None:
    """Train to the end, or until the desk asks for a stop, and deliver the model where that is the end."""
    attempt = ranks.of_first(ray.get(desk.begin.remote()) if ranks.is_first else None)
    with Line(desk, is_first=ranks.is_first, has_notice=has_notice) as line:
        equipment = assignment.course.equip(assignment, ranks, attempt)

        def introduce(state: State) -> None:
            line.send({"event": "began", "workers": ranks.world, "step": state.step, **equipment.facts()})
            for message in equipment.remarks if not attempt else ():
                line.observe(Warned(message=message))

        outcome = _train(assignment, equipment, ranks, line, introduce)
        told = {} if outcome.stopped else _deliver(assignment, equipment, ranks, outcome)
        if ranks.is_first:
            ended = {"step": outcome.state.step, "outcome": _word(outcome), "early": outcome.is_early}
            line.send({"event": "ended", **ended, "delivered": told})


def _deliver(assignment: Assignment, equipment: Equipment, ranks: Ranks, outcome: Outcome) -> Mapping[str, Any]:
    """Put the model into an output that this run still holds; what is to be told of it."""
    if ranks.is_first:
        check_holder(assignment.output, assignment.run)
    return equipment.deliver(outcome)


def _train(
    assignment: Assignment, equipment: Equipment, ranks: Ranks, line: Line, introduce: Callable[[State], None]
) -> Outcome:
    """Run the loop to its end, or to where the training is to stop."""
    pool, output, recipe = assignment.pool, assignment.output, assignment.course.recipe
    guard = partial(check_holder, output, assignment.run)  # a driver that died may have been followed by another
    keeper = Keeper(
        Checkpoints(output, assignment.identity, pool.keep, guard),
        every_steps=pool.checkpoint_steps,
        every_seconds=60 * pool.checkpoint_minutes,
        ranks=ranks,
        observer=line.observe,
    )
    training = Training(
        equipment.model,
        equipment.source,
        evaluator=equipment.evaluator,
        recipe=recipe,
        cadence=Cadence.of(pool, recipe),
        keeper=keeper,
        ranks=ranks,
        observer=line.observe,
        on_begin=introduce,
        should_keep=line.should_keep,
        should_stop=line.should_stop,
    )
    return training.run()


def _word(outcome: Outcome) -> str:
    return "stopped" if outcome.stopped else "done"
