"""How well a network does at a task: its metrics over the examples of all workers, however those were divided.

What each worker's network tells is gathered and put in the order of the data, so that a metric is the same for any
number of workers, up to the float noise of batches that were cut differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipelines.finetune_spec import Task
from pipelines.model.contrast import matched_in_turn
from pipelines.model.device import Precision, autocast
from pipelines.model.finetuning import FinetuningModel
from pipelines.text.example_batch import LOSSES
from pipelines.train.evaluation import Evaluation, gathered_tally
from pipelines.train.ranks import Ranks
from pipelines.train.scores.names import chosen_metric, merit
from pipelines.train.scores.tasks import is_scored, task_scores
from pipelines.train.scores.told import Told, joined
from pipelines.train.scores.told import told_of as reduced
from pipelines.train.source import Batch
from pipelines.train.step import told_of
from pipelines.train.task_batches import Asked


@dataclass(frozen=True)
class Judged:
    """An evaluation, and what all workers' networks told, in the order of the data."""

    evaluation: Evaluation
    told: Told


class TaskEvaluator:
    """See ``pipelines.train.evaluation.Evaluator``; ``metric`` is what evaluations are compared by, "auto" the first.

    ``labels`` are the names of the classes. Texts that are told from each other have the loss of batches of
    ``global_batch``, as in training, so that both compare.
    """

    def __init__(
        self,
        model: FinetuningModel,
        *,
        task: Task,
        labels: Sequence[str],
        metric: str,
        precision: Precision,
        global_batch: int,
    ) -> None:
        self._model, self._task, self._labels, self._precision = model, task, tuple(labels), precision
        self._metric, self._global_batch = metric, global_batch

    def __call__(self, batches: Iterable[Batch], ranks: Ranks) -> Evaluation | None:
        """See ``Evaluator``. SpecError where the task has no such metric."""
        found = self.judge(batches, ranks)
        return found.evaluation if found else None

    def judge(self, batches: Iterable[Batch], ranks: Ranks) -> Judged | None:
        """The same, and what was told."""
        loss = LOSSES[self._task]
        self._model.eval()
        sums, count, parts = [0.0, 0.0], 0, list[Told]()
        for asked in batches:
            assert isinstance(asked, Asked)
            with autocast(self._model.device, self._precision):
                losses, output = self._model.assess(asked.batch)
            sums = [one + other for one, other in zip(sums, told_of(losses, [loss]).tolist(), strict=True)]
            count += asked.batch.num_told
            parts.append(reduced(asked.batch, output.float().cpu().numpy(), asked.windows))
        tally = gathered_tally([loss], sums, {loss: count}, ranks)
        everybody = [part for one in ranks.gathered(parts) for part in one]
        if not everybody:
            return None
        told = joined(everybody)
        means, accuracies = tally.means() if self._model.temperature is None else self._matched(told)
        scores = ranks.of_first(task_scores(self._task, told, self._labels) if ranks.is_first else None)
        evaluation = Evaluation(
            losses=means,
            accuracies=accuracies,
            counts=tally.counts,
            merit=merit(self.metric(told), scores),
            metrics=scores,
            baselines=baselines(self._task, told),
        )
        return Judged(evaluation, told)

    def _matched(self, told: Told) -> tuple[dict[str, float], dict[str, float]]:
        """Loss and accuracy of pairs that are told from each other."""
        assert self._model.temperature is not None
        pairs_n2d = torch.from_numpy(told.predictions)
        found = matched_in_turn(pairs_n2d, self._model.temperature, self._global_batch)
        name = LOSSES[self._task]
        return {name: float(found.losses.mean())}, {name: float(found.correct.float().mean())}

    def metric(self, told: Told) -> str:
        """What evaluations are compared by."""
        scored = self._task == "embedding" and is_scored(told)
        return chosen_metric(self._metric, self._task, scored=scored)


def baselines(task: Task, told: Told) -> dict[str, float]:
    """Accuracy of always telling the most frequent class of these examples, or the root of squared error of their mean.

    Nothing for tasks where one answer to all makes no sense.
    """
    if task == "classification":
        return {"accuracy": float(np.bincount(told.targets).max() / len(told.targets))}
    return {"rmse": float(told.targets.std())} if task == "regression" else {}
