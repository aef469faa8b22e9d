"""Labelled examples as a few Parquet files. Writing the same again changes nothing: a file keeps its version."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 1024


def publish(table: pa.Table, folder: Path, name: str, num_shards: int) -> None:
    """Write every num_shards-th row into each file, ``<name>-<shard>-of-<num_shards>.parquet``, in one move each."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(num_shards):
        rows = table.take(pa.array(range(shard, table.num_rows, num_shards)))
        publish_file(folder / f"{name}-{shard:02d}-of-{num_shards:02d}.parquet", rows)


def publish_file(path: Path, table: pa.Table) -> None:
    """Write one file, unless what is there is the same."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=ROW_GROUP_ROWS)
    data = sink.getvalue().to_pybytes()
    if path.exists() and path.read_bytes() == data:
        return
    aside = path.with_name(f"_{path.name}.tmp")
    aside.write_bytes(data)
    aside.replace(path)
