"""Fine-tuning as a course: an encoder with a head for a task, labelled examples, and the task's metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pipelines.finetune_spec import LABELLED, FinetuneSpec
from pipelines.model.device import Precision, pick_precision
from pipelines.model.finetuning import FinetuningModel
from pipelines.spec import Storage
from pipelines.store.models import ModelReference
from pipelines.store.user_code import UserCode
from pipelines.train.assignment import Assignment
from pipelines.train.course import Equipment
from pipelines.train.feed import Feed
from pipelines.train.finetune_delivery import deliver_task
from pipelines.train.fitting import training_budget
from pipelines.train.instance_source import Cut, InstanceSource
from pipelines.train.network import facts_of
from pipelines.train.ranks import Ranks
from pipelines.train.recipe import Recipe
from pipelines.train.row_groups import RowGroups
from pipelines.train.schedule import Pace
from pipelines.train.task_batches import TaskBatches
from pipelines.train.task_evaluation import TaskEvaluator
from pipelines.train.task_network import make_task_network
from pipelines.train.trace import Trace, TracedSource

ROUNDING = 1e-9
"""Epochs are a number with a point: 0.1 of 30 examples are 3."""


@dataclass(frozen=True, kw_only=True)
class FinetuneCourse:
    """See ``pipelines.train.course.Course``."""

    spec: FinetuneSpec
    """Its max_seqlen is no "auto" any more, and its labels are those of the data."""
    model: ModelReference
    class_counts: tuple[int, ...]
    """Examples to train on, or tagged words, of each class; () where there are none."""
    id_column: str
    """Of the examples' documents."""
    train: RowGroups
    held_out: RowGroups
    storage: Storage = Storage()
    code: UserCode | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes in their order, () where the task has none."""
        return tuple(self.spec.labels) if self.spec.task in LABELLED else ()

    @property
    def recipe(self) -> Recipe:
        """As the spec has it, its epochs in steps; there is an evaluation an epoch at least."""
        spec, a_step = self.spec, self.spec.global_batch
        assert spec.epochs != "auto"
        steps = math.ceil(spec.epochs * self.train.num_instances / a_step - ROUNDING)
        recipe = Recipe.of(spec)
        return replace(
            recipe,
            pace=Pace(max_steps=max(1, steps)) if spec.epochs else recipe.pace,
            patience=spec.patience,
            deliver=spec.deliver,
            most_eval_steps=math.ceil(self.train.num_instances / a_step),
        )

    @property
    def num_streams(self) -> int:
        """Not more than a batch has examples: each batch then has some of every stretch of the data."""
        return min(self.spec.num_streams, self.spec.global_batch)

    def equip(self, assignment: Assignment, ranks: Ranks, attempt: int) -> Equipment:
        """See ``Course``."""
        made = make_task_network(self, assignment.pool)
        model, spec = made.model, self.spec
        precision = pick_precision(spec.precision, model.device)
        feed, maker = self._feed(model)
        cut = self._cut(assignment, model, maker, precision)
        source = InstanceSource(feed, self.held_out, maker=maker, cut=cut, max_held_out=spec.max_eval_instances)
        whole = InstanceSource(feed, self.held_out, maker=maker, cut=cut, max_held_out=self.held_out.num_instances)
        trace = Trace.of(assignment, ranks.rank, attempt)
        evaluator = TaskEvaluator(
            model,
            task=spec.task,
            labels=self.labels,
            metric=spec.metric,
            precision=precision,
            global_batch=spec.global_batch,
        )
        return Equipment(
            model=model,
            source=TracedSource(source, feed, trace) if trace else source,
            evaluator=evaluator,
            remarks=(*made.remarks, *feed.cautions(spec.global_batch)),
            facts=lambda: self._facts(model, precision),
            deliver=partial(deliver_task, self, assignment.output, model, evaluator, whole, ranks),
        )

    def _feed(self, model: FinetuningModel) -> tuple[Feed, TaskBatches]:
        maker = TaskBatches(
            task=self.spec.task, num_labels=len(self.labels), id_column=self.id_column, flops=model.flops
        )
        feed = Feed(self.train, num_streams=self.num_streams, seed=self.spec.seed, columns=maker.columns)
        return feed, maker

    def _cut(self, assignment: Assignment, model: FinetuningModel, maker: TaskBatches, precision: Precision) -> Cut:
        wish = assignment.pool.token_budget
        budget = training_budget(wish, model, partial(maker.trial, model.config), precision)
        return Cut(token_budget=budget, padded=model.path == "padded")

    def _facts(self, model: FinetuningModel, precision: Precision) -> Mapping[str, Any]:
        return {**facts_of(model), "precision": precision}
