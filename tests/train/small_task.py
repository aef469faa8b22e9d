"""One worker's part in a fine-tuning of which it was given an assignment; it brings nothing of the driver along."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from pipelines.learning_spec import TrainPool
from pipelines.store.location import locate
from pipelines.train.assignment import Assignment
from pipelines.train.checkpoints import Checkpoints
from pipelines.train.events import Evaluated, Event, Stepped
from pipelines.train.keeper import Keeper
from pipelines.train.loop import Outcome, Training
from pipelines.train.ranks import Ranks
from pipelines.train.recipe import Cadence
from tests.train.small import flat


class Run:
    """One worker's part in a fine-tuning, without the desk."""

    def __init__(self, given: Assignment, output: Path, ranks: Ranks, stop_after: int | None = None) -> None:
        self.events, asked = list[Event](), iter(range(10**9))
        self.equipment = given.course.equip(given, ranks, 0)
        recipe = given.course.recipe
        self.model = self.equipment.model
        self.training = Training(
            self.model,
            self.equipment.source,
            evaluator=self.equipment.evaluator,
            recipe=recipe,
            cadence=Cadence.of(TrainPool(eval_steps=3, log_steps=2), recipe),
            keeper=Keeper(Checkpoints(locate(str(output)), {}, 2), every_steps=2, ranks=ranks),
            ranks=ranks,
            observer=self.events.append,
            should_stop=lambda: next(asked) == stop_after,
        )

    def run(self) -> Outcome:
        return self.training.run()

    def curves(self) -> list[float]:
        points = [event for event in self.events if isinstance(event, Stepped | Evaluated)]
        return [value for p in points for value in (*p.losses.values(), *getattr(p, "metrics", {}).values())]


def train(folder: Path) -> None:
    """What each worker of the test below does."""
    ranks = Ranks.joined()
    given = pickle.loads((folder.parent / "given").read_bytes())
    run = Run(given, folder.parent / f"model-{ranks.world}", ranks)
    outcome = run.run()
    np.savez(folder / f"{ranks.rank}.npz", weights=flat(run.model), curves=run.curves(), merit=outcome.state.best_merit)
