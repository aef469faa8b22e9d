"""Slices of instances to parts: what is held out beside them, and nothing where an instance is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import StoreError
from pipelines.schema import DeadLetter, SliceHeader, fold
from pipelines.stages.instances import IS_HELD_OUT
from pipelines.stages.slicewise import ROW
from pipelines.stages.write_instances import InstanceWriter
from pipelines.store.location import locate
from tests.store.test_instances import instances

COLUMNS = ["id", "input_ids", "segment_b_start", "next_sentence_label", "num_tokens"]
LETTER = DeadLetter(row=7, stage="tokenize", reason="the text is null")
KEY = "0123456789abcdef/5-4.parquet"


def slice_of(held_out: list[bool], **stats: float) -> pa.Table:
    counts = {"instances.documents": 3, "instances.train": held_out.count(False)}
    counts |= {"instances.held_out": held_out.count(True), **stats}
    about = {"shard": "a.parquet", "shard_id": "0123456789abcdef", "first_row": 5, "num_documents": 4}
    header = SliceHeader(**about, dead_letters=(LETTER,), stats=counts)
    table = instances(range(len(held_out)))
    table = table.append_column(ROW, pa.array([5] * table.num_rows, pa.int64()))
    return fold(table.append_column(IS_HELD_OUT, pa.array(held_out, pa.bool_())), header)


@pytest.fixture
def writer(tmp_path: Path) -> InstanceWriter:
    return InstanceWriter(locate(str(tmp_path)), COLUMNS, {"manta.seed": "0"})


def test_train_and_held_out_instances_part(writer: InstanceWriter, tmp_path: Path) -> None:
    receipt = writer(slice_of([False, True, False, False]))
    part, beside = (pq.read_table(tmp_path / folder / KEY) for folder in ("parts", "held_out"))
    assert part.column_names == beside.column_names == COLUMNS
    assert (part["id"].to_pylist(), beside["id"].to_pylist()) == ([0, 2, 3], [1])
    assert receipt["num_rows"].to_pylist() == [3]
    told: dict[bytes, Any] = part.schema.metadata
    assert (told[b"num_documents"], told[b"num_rows"], told[b"manta.num_held_out"]) == (b"4", b"3", b"1")
    assert told[b"manta.seed"] == b"0"


def test_documents_without_instances_are_accounted(writer: InstanceWriter, tmp_path: Path) -> None:
    assert writer(slice_of([]))["num_rows"].to_pylist() == [0]
    assert pq.read_table(tmp_path / "parts" / KEY).num_rows == 0
    assert not (tmp_path / "held_out").exists()


def test_many_instances_are_in_small_row_groups(writer: InstanceWriter, tmp_path: Path) -> None:
    writer(slice_of([False] * 2500))
    file = pq.ParquetFile(tmp_path / "parts" / KEY)
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [1024, 1024, 452]


def test_sums_that_do_not_add_up_are_not_written(writer: InstanceWriter, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="3 instances were made and 2 came here"):
        writer(slice_of([False, True], **{"instances.train": 2}))
    with pytest.raises(StoreError, match="4 documents went in, 2 came out and 1 are dead letters"):
        writer(slice_of([False, True], **{"instances.documents": 2}))
    assert list(tmp_path.iterdir()) == []
