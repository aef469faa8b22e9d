"""A watch over a fine-tuning: what goes wrong in it, told by its log and its evaluations, with cause and remedy.

Each fault is told once.
"""

from __future__ import annotations

from collections.abc import Callable

from pipelines.train.health import HealthWatch, Row

ENOUGH = 0.5
"""Share of the training after which it is to be better than one answer to all."""
BARELY = 0.005
"""A metric that is better than its baseline by less, as a share of it, is not better."""
RISEN = 1.1
"""A loss on held-out examples above this multiple of its least has risen."""
RISES = 2
"""Evaluations in a row that say so."""
LESS_IS_BETTER = ("rmse",)


class FinetuneWatch:
    """See ``pipelines.train.health.Watch``."""

    def __init__(self) -> None:
        self._speed = HealthWatch(checks=("data_wait",))
        self._row: Row = {}
        self._evaluations: list[tuple[Row, float]] = []
        """Each with the loss on the examples that were learnt from at the time."""
        self._told: set[str] = set()

    def look(self, row: Row, *, held_out: bool = False) -> list[str]:
        """What is wrong as of this row and was not told before, a sentence each with cause and remedy."""
        if not held_out:
            self._row = row
            return self._speed.look(row)
        self._evaluations.append((row, self._row.get("loss", float("nan"))))
        faults = {check.__name__: check(self) for check in CHECKS if check.__name__ not in self._told}
        found = {name: text for name, text in faults.items() if text}
        self._told |= found.keys()
        return list(found.values())

    def no_better_than_one_answer(self) -> str:
        """It tells no more than the most frequent class, or the mean, would."""
        row, _ = self._evaluations[-1]
        name = next((name.removeprefix("baseline_") for name in row if name.startswith("baseline_")), "")
        if not name or f"metric_{name}" not in row or self._row.get("progress", 0.0) < ENOUGH:
            return ""
        metric, baseline = row[f"metric_{name}"], row[f"baseline_{name}"]
        gain = baseline - metric if name in LESS_IS_BETTER else metric - baseline
        if gain > BARELY * abs(baseline):
            return ""
        answer = "the mean of all values" if name in LESS_IS_BETTER else "the most frequent class"
        return (
            f"step {int(row['step'])}: {name} is {metric:.3f}, no better than the {baseline:.3f} of telling {answer} "
            "each time: the learning rate may be too high or too low for this model, the training too short, or the "
            "labels may not follow from the texts; try --spec.learning_rate from 1e-5 to 1e-4, and more epochs"
        )

    def learnt_by_heart(self) -> str:
        """The loss on what is held out rises while that on what is learnt from falls."""
        losses = [row["loss"] for row, _ in self._evaluations if "loss" in row]
        if len(losses) <= RISES or len(losses) < len(self._evaluations):
            return ""
        least = min(range(len(losses)), key=losses.__getitem__)
        since = losses[least + 1 :]
        learnt_then, learnt_now = self._evaluations[least][1], self._evaluations[-1][1]
        if len(since) < RISES or min(since[-RISES:]) < RISEN * losses[least] or not learnt_now < learnt_then:
            return ""
        step = int(self._evaluations[least][0]["step"])
        return (
            f"step {int(self._evaluations[-1][0]['step'])}: on the examples to evaluate on the loss rose from "
            f"{losses[least]:.3f} (step {step}) to {losses[-1]:.3f}, while on those to learn from it fell from "
            f"{learnt_then:.3f} to {learnt_now:.3f}: they are learnt by heart; take fewer epochs, or end early by "
            "--spec.patience (the best weights are those that are delivered, unless deliver is last)"
        )


CHECKS: tuple[Callable[[FinetuneWatch], str], ...] = (
    FinetuneWatch.no_better_than_one_answer, FinetuneWatch.learnt_by_heart,
)  # fmt: skip
