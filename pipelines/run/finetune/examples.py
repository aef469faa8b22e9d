"""Labelled data to committed examples: looked at, split, tokenized; what is there already is used again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.finetune_spec import FinetuneSpec
from pipelines.run.finetune.example_ground import ExampleGround, survey_data, survey_evaluation
from pipelines.run.finetune.example_notes import evaluation_notes, notes_of
from pipelines.run.finetune.finetune_order import FinetuneOrder
from pipelines.run.order import Order
from pipelines.run.report import Report
from pipelines.run.start import Pools
from pipelines.run.trunk import open_run
from pipelines.spec import TokenizePool
from pipelines.stages.examples import make_task_examples, part_columns
from pipelines.stages.read import read
from pipelines.stages.write import write
from pipelines.stages.write_instances import InstanceWriter
from pipelines.store.instances import InstanceOutput

KIND = "ExampleSpec"
Start = Callable[..., Pools]
"""Starts Ray for a run that has something to do, and places its actors: ``jobs.entry.start`` with a cluster."""


@dataclass(frozen=True, kw_only=True)
class MadeExamples:
    """What a fine-tuning learns from and is evaluated on."""

    train: InstanceOutput
    evaluation: InstanceOutput | None
    """None: the held-out examples beside those to train on."""
    labels: tuple[str, ...]
    """The classes in their order; () where the task has none."""
    class_counts: tuple[int, ...]
    """How many examples to train on each class has; of tags, how many words."""
    notes: tuple[str, ...]
    """What the user should know, a line each."""
    reports: tuple[Report, ...] = ()
    """Of the runs that made the examples, or found them made."""

    @property
    def exit_code(self) -> int:
        """That of the first run that has one: too many dead letters, or shards set aside."""
        return next((report.exit_code for report in self.reports if report.exit_code), 0)


def make_examples(order: FinetuneOrder, spec: FinetuneSpec, cpu: TokenizePool, start: Start) -> MadeExamples:
    """Make the examples that a fine-tuning asks for, exactly once: what is there of the same data and spec is used.

    Labels are looked at before ``start`` is called, which it is only where there is something to make. SpecError where
    they can't be learnt.
    """
    train, evaluation = survey_data(order, spec)
    sides = [train, *([evaluation] if evaluation else [])]
    return gathered(train, evaluation, spec, [_make(side, cpu, start) for side in sides])


@dataclass(frozen=True, kw_only=True)
class EvaluationExamples:
    """What a model is evaluated on, without being trained."""

    output: InstanceOutput
    notes: tuple[str, ...]
    report: Report


def make_evaluation(
    order: Order, spec: FinetuneSpec, labels: Sequence[str], cpu: TokenizePool, start: Start
) -> EvaluationExamples:
    """Make examples of all of an order's data, of a model's classes in its order: as ``make_examples`` else."""
    side = survey_evaluation(order, spec, labels, np.zeros(0, np.uint64))
    report = _make(side, cpu, start)
    output = InstanceOutput.open(side.output.uri, order.storage, kind=KIND)
    return EvaluationExamples(output=output, notes=tuple(evaluation_notes(side)), report=report)


def gathered(
    train: ExampleGround, evaluation: ExampleGround | None, spec: FinetuneSpec, reports: Sequence[Report]
) -> MadeExamples:
    """What was made of these data, as it is committed."""
    storage = train.order.storage
    return MadeExamples(
        train=InstanceOutput.open(train.output.uri, storage, kind=KIND),
        evaluation=InstanceOutput.open(evaluation.output.uri, storage, kind=KIND) if evaluation else None,
        labels=tuple(train.survey.names),
        class_counts=tuple(train.survey.counts(train.is_kept).tolist()),
        notes=tuple(notes_of(train, evaluation, spec, reports)),
        reports=tuple(reports),
    )


def _make(side: ExampleGround, cpu: TokenizePool, start: Start) -> Report:
    """Make what is not there yet of one output."""
    task = side.recipe.spec.task
    with open_run(side.order, side.recipe) as run:
        if run.plan.stretches:
            run.lease.check()
            side.decision.put(run.output)
            pools = start(run, cpu=cpu)
            texts = read(run.plan.stretches, run.reading, **pools.read)
            examples = make_task_examples(texts, side.recipe, pools.make, run.output)
            columns = part_columns(run.ground.columns, task)
            receipts = write(examples, run.output, columns, run.metadata, pools.write, InstanceWriter)
            run.follow(receipts, pools.placement)
        return run.finish()
