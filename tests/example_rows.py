"""Examples made by hand, and parts of them as fine-tuning would have written them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.examples import examples_schema
from pipelines.instances import NO_LABEL
from pipelines.store.location import Location


def example(ids: Sequence[int], segment_b_start: int = 0, **targets: Any) -> dict[str, Any]:
    """An example of these token ids and targets."""
    return {
        "input_ids": list(ids),
        "segment_b_start": segment_b_start,
        "next_sentence_label": NO_LABEL,
        "num_tokens": len(ids),
        **targets,
    }


def put_examples(
    location: Location, key: str, task: str, rows: Sequence[Mapping[str, Any]], row_group: int = 8
) -> None:
    """Write a part of these examples of a task with ids d0, d1 and so on, or those that they have themselves."""
    schema = pa.schema([pa.field("id", pa.string()), *examples_schema(task)])
    table = pa.Table.from_pylist([{"id": f"d{n}", **row} for n, row in enumerate(rows)], schema)
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=row_group)
    location.put(key, sink.getvalue())
