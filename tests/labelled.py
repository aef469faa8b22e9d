"""Labelled data to fine-tune on, and what ``make_examples`` makes of them without Ray: its stages one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.finetune_spec import FinetuneSpec
from pipelines.instances import HELD_OUT
from pipelines.run.finetune.example_ground import ExampleGround, survey_data
from pipelines.run.finetune.examples import MadeExamples, gathered
from pipelines.run.finetune.finetune_order import FinetuneOrder
from pipelines.run.report import Report
from pipelines.run.trunk import Run, open_run
from pipelines.stages.examples import ExampleMaker, part_columns
from pipelines.stages.read import slices_of
from pipelines.stages.write_instances import InstanceWriter
from pipelines.store.instances import InstanceOutput
from tests.tiny import FLAT


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], **types: pa.DataType) -> Path:
    """A shard of these rows; columns of these types where Arrow would not tell them right."""
    found = pa.Table.from_pylist(list(rows))
    schema = pa.schema([pa.field(field.name, types.get(field.name, field.type)) for field in found.schema])
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema), path)
    return path


class InTurn:
    """Receipts as a dataset would give them, of stages that work one after another in this process."""

    def __init__(self, run: Run, side: ExampleGround) -> None:
        self._run = run
        columns = part_columns(run.ground.columns, side.recipe.spec.task)
        maker = ExampleMaker(side.recipe, output=run.output)
        self._stages = (maker, InstanceWriter(run.output, columns, run.metadata))

    def iter_batches(self, *, batch_size: None, batch_format: str) -> Iterator[pa.Table]:
        """One receipt after another."""
        for batch in slices_of(self._run.plan.stretches, self._run.reading):
            for stage in self._stages:
                batch = stage(batch)
            yield batch


def examples_in_turn(order: FinetuneOrder, spec: FinetuneSpec) -> MadeExamples:
    """The examples of an order, made in this process."""
    train, evaluation = survey_data(order, spec)
    reports = [_make(side) for side in (train, evaluation) if side]
    return gathered(train, evaluation, spec, reports)


def _make(side: ExampleGround) -> Report:
    with open_run(side.order, side.recipe) as run:
        if run.plan.stretches:
            side.decision.put(run.output)
            run.follow(InTurn(run, side), FLAT)  # type: ignore[arg-type]
        return run.finish()


def rows_of(made: InstanceOutput, *, held_out: bool = False) -> list[dict[str, Any]]:
    """The examples of a local output, part by part: to train on, or those held out."""
    keys = [part.held_out if held_out else part.key for part in made.parts]
    assert all(key.startswith(HELD_OUT if held_out else "parts/") for key in keys if key)
    return [row for key in keys if key for row in pq.read_table(Path(made.location.path) / key).to_pylist()]
