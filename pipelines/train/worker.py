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

from pipelines.model.device import pick_precision
from pipelines.model.pretraining import PretrainingModel
from pipelines.store.lease import check_holder
from pipelines.text.frequencies import log_frequencies, unigram_entropy
from pipelines.train.assignment import Assignment
from pipelines.train.checkpoint import State
from pipelines.train.checkpoints import Checkpoints
from pipelines.train.delivery import deliver
from pipelines.train.events import Warned
from pipelines.train.keeper import Keeper
from pipelines.train.line import Line, no_notice, notice_from_ray
from pipelines.train.loop import Outcome, Training
from pipelines.train.network import facts_of, make_network
from pipelines.train.ranks import Ranks
from pipelines.train.recipe import Cadence, Recipe
from pipelines.train.source import Source
from pipelines.train.supply import Supply, open_supply


def work(config: Mapping[str, Any]) -> None:
    """Train on this worker of Ray Train: "assignment" is an ``Assignment``, "desk" a handle of the desk."""
    assignment: Assignment = config["assignment"]
    torch.set_num_threads(assignment.num_threads)
    attend(assignment, config["desk"], Ranks.joined(), has_notice=notice_from_ray)


def attend(assignment: Assignment, desk: Any, ranks: Ranks, has_notice: Callable[[], bool] = no_notice) -> None:
    """Train to the end, or until the desk asks for a stop, and deliver the model where that is the end."""
    attempt = ranks.of_first(ray.get(desk.begin.remote()) if ranks.is_first else None)
    with Line(desk, is_first=ranks.is_first, has_notice=has_notice) as line:
        made = make_network(assignment)
        supply = open_supply(assignment, made.model, attempt=attempt, rank=ranks.rank)
        if made.has_new_head and assignment.spec.output_bias == "unigram":
            made.model.set_output_bias(log_frequencies(supply.token_counts(made.model.config.vocab_size)))

        def introduce(state: State) -> None:
            _introduce(assignment, made.model, supply, ranks, line, state.step)
            for message in (*made.remarks, *supply.cautions) if not attempt else ():
                line.observe(Warned(message=message))

        outcome = _train(assignment, made.model, supply.source, ranks, line, introduce)
        if ranks.is_first:
            if not outcome.stopped:
                check_holder(assignment.output, assignment.run)
                deliver(assignment, made.model)
            line.send({"event": "ended", "step": outcome.state.step, "outcome": _word(outcome)})


def _train(
    assignment: Assignment,
    model: PretrainingModel,
    source: Source,
    ranks: Ranks,
    line: Line,
    introduce: Callable[[State], None],
) -> Outcome:
    """Run the loop to its end, or to where the training is to stop."""
    pool, output = assignment.pool, assignment.output
    guard = partial(check_holder, output, assignment.run)  # a driver that died may have been followed by another
    keeper = Keeper(
        Checkpoints(output, assignment.identity, pool.keep, guard),
        every_steps=pool.checkpoint_steps,
        every_seconds=60 * pool.checkpoint_minutes,
        ranks=ranks,
        observer=line.observe,
    )
    training = Training(
        model,
        source,
        recipe=Recipe.of(assignment.spec),
        cadence=Cadence.of(pool),
        keeper=keeper,
        ranks=ranks,
        observer=line.observe,
        on_begin=introduce,
        should_keep=line.should_keep,
        should_stop=line.should_stop,
    )
    return training.run()


def _introduce(
    assignment: Assignment, model: PretrainingModel, supply: Supply, ranks: Ranks, line: Line, step: int
) -> None:
    """Tell the driver who is at work, from which step on, and what a loss is to be compared with."""
    facts: dict[str, Any] = {**facts_of(model), "precision": pick_precision(assignment.spec.precision, model.device)}
    facts["unigram_entropy"] = unigram_entropy(supply.token_counts(model.config.vocab_size))
    line.send({"event": "began", "workers": ranks.world, "step": step, **facts})


def _word(outcome: Outcome) -> str:
    return "stopped" if outcome.stopped else "done"
