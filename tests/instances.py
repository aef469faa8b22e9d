"""Instances made by hand, and parts of them as prepare would have written them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.instances import INSTANCES
from pipelines.store.location import Location
from pipelines.text.training_batch import Instances

Row = tuple[list[int], int, int]  # token ids, start of segment B, label


def instances(rows: Sequence[Sequence[int]], first: int = 0, epoch: int = 0) -> Instances:
    """Instances of these token ids, without a second segment, numbered from ``first``."""
    return Instances(
        values=np.array([token for row in rows for token in row], np.int32),
        offsets=np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
        segment_b_start=np.zeros(len(rows), np.int32),
        sentence_labels=np.zeros(len(rows), np.int8),
        epoch=np.full(len(rows), epoch),
        number=np.arange(first, first + len(rows)),
    )


def drawn_rows(num: int, seed: int = 0) -> list[Row]:
    """Instances of 3 to 29 tokens: 1, then ordinary ids of 5 and above, then 2."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 28, num).tolist()
    return [([1, *rng.integers(5, 100, length).tolist(), 2], length // 2, int(rng.integers(2))) for length in lengths]


def put_part(location: Location, key: str, rows: Sequence[Row], row_group: int = 8, id_name: str = "id") -> None:
    """Write a part of these instances with ids d0, d1 and so on; without a column of ids where that has no name."""
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], []]
    columns.append([len(ids) for ids in columns[0]])
    arrays = [pa.array(column, field.type) for column, field in zip(columns, INSTANCES, strict=True)]
    ids = [pa.array([f"d{n}" for n in range(len(rows))], pa.string())] if id_name else []
    table = pa.table([*ids, *arrays], [*([id_name] if id_name else []), *INSTANCES.names])
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=row_group)
    location.put(key, sink.getvalue())
