"""What ``jobs.prepare`` does, without Ray: its stages one after another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.prepare_spec import PrepareSpec
from pipelines.run.duplicates import look_for_duplicates
from pipelines.run.order import Order
from pipelines.run.report import Report
from pipelines.run.trunk import Run, open_run
from pipelines.stages.digests import put_digests
from pipelines.stages.instances import InstanceMaker
from pipelines.stages.read import Stretch, slices_of
from pipelines.stages.tokenizer_recipe import TokenizerRecipe
from pipelines.stages.write_instances import InstanceWriter, part_columns
from tests.tiny import FLAT


class InTurn:
    """Receipts as a dataset would give them, of stages that work one after another in this process."""

    def __init__(self, run: Run, recipe: TokenizerRecipe) -> None:
        self._run = run
        columns = list(part_columns(run.ground.columns))
        maker = InstanceMaker(recipe, output=run.output)
        self._stages = (maker, InstanceWriter(run.output, columns, run.metadata))

    def iter_batches(self, *, batch_size: None, batch_format: str) -> Iterator[pa.Table]:
        """One receipt after another."""
        for batch in slices_of(self._run.plan.stretches, self._run.reading):
            for stage in self._stages:
                batch = stage(batch)
            yield batch


def duplicates_in_turn(run: Run) -> None:
    """What ``find_duplicates`` does, with its tasks in this process."""

    def digest(groups: list[list[Stretch]]) -> None:
        for shards in groups:
            put_digests(shards, run.reading, run.output)

    look_for_duplicates(run, digest)


def prepare_in_turn(spec: PrepareSpec, documents: Path | str, output: Path | str, **order: Any) -> Report:
    """A run of a corpus into an output; its report."""
    recipe = TokenizerRecipe.of(spec)
    asked = Order(job="prepare", documents=str(documents), output=str(output), **{"progress": "none", **order})
    with open_run(asked, recipe) as run:
        if run.plan.stretches:
            duplicates_in_turn(run)
            run.follow(InTurn(run, recipe), FLAT)  # type: ignore[arg-type]
        return run.finish()
