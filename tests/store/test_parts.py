"""Parts: named by their rows, published whole after their dead letters, the same bytes each time."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import StoreError
from pipelines.schema import DEAD_LETTERS, DeadLetter, SliceHeader, codes_to_arrow, vectors_to_arrow
from pipelines.store.location import Location, locate
from pipelines.store.parts import (
    PartEntry,
    dead_letters_key,
    held_out_key,
    keys_beside,
    list_parts,
    part_key,
    publish,
    read_counts,
    read_dead_letters,
    read_facts,
    read_part_counts,
)

ID = "0123456789abcdef"
LETTERS = (DeadLetter(row=5, stage="read", reason="the text is null"), DeadLetter(row=9, stage="encode", reason="NaN"))
HEADER = SliceHeader(shard="y=1/a b.parquet", shard_id=ID, first_row=4096, num_documents=6, dead_letters=LETTERS)
VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3)
TABLE = pa.table(
    {
        "id": pa.array(["a", "b", "c", "d"]),
        "embedding": vectors_to_arrow(VECTORS, pa.float32()),
        "tags": pa.array([["x"], [], None, ["y", "z"]]),
        "at": pa.array([{"k": [("a", 1)]}] * 4, pa.struct([("k", pa.map_(pa.string(), pa.int8()))])),
    }
)
KEY = f"parts/{ID}/4096-6.parquet"


def test_keys() -> None:
    assert part_key(ID, 4096, 6) == KEY == f"parts/{HEADER.name}.parquet"
    assert dead_letters_key(KEY) == f"_manta/dead_letters/{ID}/4096-6.parquet"


def test_what_lies_beside_a_part_bears_its_name() -> None:
    assert held_out_key(KEY) == f"held_out/{ID}/4096-6.parquet"
    shard_id = KEY.split("/")[1]
    arrays = [f"_manta/digests/{shard_id}.npy", f"_manta/copies/{shard_id}.npy"]
    assert keys_beside(KEY) == [dead_letters_key(KEY), held_out_key(KEY), *arrays]


def test_rows_held_out_are_put_before_the_part_and_counted_apart(output: Location) -> None:
    publish(output, HEADER, TABLE, {"seed": "1"}, held_out=TABLE.slice(0, 3), group_rows=2)
    part, beside = (pq.ParquetFile(pa.BufferReader(output.read(key))) for key in (KEY, held_out_key(KEY)))
    assert [part.metadata.row_group(n).num_rows for n in range(part.num_row_groups)] == [2, 2]
    assert (part.metadata.metadata[b"num_rows"], beside.metadata.metadata[b"num_rows"]) == (b"4", b"3")
    assert beside.metadata.metadata[b"seed"] == b"1"
    assert beside.read()["id"].to_pylist() == ["a", "b", "c"]
    publish(output, replace(HEADER, first_row=0), TABLE, {}, held_out=TABLE.slice(0, 0))
    assert [entry.key for entry in output.list("held_out/")] == [held_out_key(KEY)]


def test_a_part_is_listed_with_the_rows_that_it_holds(output: Location) -> None:
    entry = publish(output, HEADER, TABLE, {})
    assert list(list_parts(output)) == [entry]
    assert (entry.key, entry.shard_id, entry.first_row, entry.num_documents) == (KEY, ID, 4096, 6)
    there = output.stat(KEY)
    assert there is not None
    assert (entry.size, entry.version) == (there.size, there.version)


def test_a_part_reads_as_it_was_written_and_says_what_it_is(output: Location) -> None:
    publish(output, HEADER, TABLE, {"model": "m", "source": "s3://corpus"})
    read = pq.read_table(io.BytesIO(output.read(KEY)))
    assert read.equals(TABLE)
    assert read.schema.field("embedding").type == pa.list_(pa.float32(), 3)
    assert read.schema.metadata == {
        b"model": b"m",
        b"source": b"s3://corpus",
        b"num_documents": b"6",
        b"num_rows": b"4",
        b"num_dead_letters": b"2",
        b"shard": b"y=1/a b.parquet",
    }


def test_counts_come_from_the_footer(output: Location) -> None:
    entry = publish(output, HEADER, TABLE, {})
    other = publish(output, replace(HEADER, first_row=0, dead_letters=()), TABLE, {})
    assert read_part_counts(output, entry) == (6, 4, 2)
    assert read_counts(output, [entry, other]) == {entry.key: (6, 4, 2), other.key: (6, 4, 0)}


def test_the_same_slice_gives_the_same_bytes(output: Location) -> None:
    once = publish(output, HEADER, TABLE, {"model": "m"})
    data = output.read(KEY)
    publish(output, HEADER, pa.concat_tables([TABLE[:1], TABLE[1:]]).combine_chunks(), {"model": "m"})
    assert output.read(KEY) == data
    assert [entry.key for entry in list_parts(output)] == [once.key]


def test_dead_letters_lie_beside(output: Location) -> None:
    publish(output, HEADER, TABLE, {})
    publish(output, replace(HEADER, first_row=0, dead_letters=()), TABLE, {})
    letters = read_dead_letters(output, [part_key(ID, 0, 6), KEY])
    assert letters.schema.equals(DEAD_LETTERS)
    assert letters.to_pylist() == [
        {"shard": "y=1/a b.parquet", "shard_id": ID, "row": 5, "stage": "read", "reason": "the text is null"},
        {"shard": "y=1/a b.parquet", "shard_id": ID, "row": 9, "stage": "encode", "reason": "NaN"},
    ]
    assert read_dead_letters(output, []).num_rows == 0


def test_dead_letters_are_put_before_their_part(output: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    real, order = Location.put, []

    def put(self: Location, key: str, data: bytes) -> object:
        order.append(key)
        if key == KEY:
            raise StoreError("the disk is full")
        return real(self, key, data)

    monkeypatch.setattr(Location, "put", put)
    with pytest.raises(StoreError):
        publish(output, HEADER, TABLE, {})
    assert order == [dead_letters_key(KEY), KEY]
    assert list(list_parts(output)) == []


def test_a_listing_takes_little_memory_a_part(tmp_path: Path) -> None:
    for number in range(2000):
        path = tmp_path / part_key(f"{number // 100:016x}", number, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    output = locate(str(tmp_path))
    tracemalloc.start()
    parts = list(list_parts(output))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(parts) == 2000
    assert held / len(parts) < 300


def test_files_of_others_are_no_parts(output: Location) -> None:
    for key in (
        "parts/x.parquet",
        f"parts/{ID}/a-b.parquet",
        f"parts/{ID}/0-1.parquet.tmp",
        f"parts2/{ID}/0-1.parquet",
    ):
        output.put(key, b"")
    assert list(list_parts(output)) == []


def test_a_slice_without_rows_is_a_part_too(output: Location) -> None:
    entry = publish(output, HEADER, TABLE.slice(0, 0), {})
    assert read_part_counts(output, entry) == (6, 0, 2)
    assert pq.read_table(io.BytesIO(output.read(KEY))).schema.equals(TABLE.schema)


def test_vectors_lie_as_they_are_and_other_columns_are_compressed(output: Location) -> None:
    publish(output, HEADER, TABLE, {})
    group = pq.read_metadata(io.BytesIO(output.read(KEY))).row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    vectors = columns.pop("embedding.list.element")
    assert (vectors.compression, vectors.has_dictionary_page, vectors.is_stats_set) == ("UNCOMPRESSED", False, False)
    assert {name: column.compression for name, column in columns.items()} == {
        "id": "ZSTD",
        "tags.list.element": "ZSTD",
        "at.k.key_value.key": "ZSTD",
        "at.k.key_value.value": "ZSTD",
    }


def test_codes_are_stored_as_they_are_and_other_bytes_are_not(output: Location) -> None:
    digests = pa.array([bytes([n]) * 16 for n in range(4)], pa.binary(16))
    codes = codes_to_arrow(VECTORS.astype(np.int8))
    publish(output, HEADER, pa.table({"id": digests, "embedding": codes}), {})
    group = pq.read_metadata(io.BytesIO(output.read(KEY))).row_group(0)
    ids, vectors = (group.column(i) for i in range(2))
    assert (vectors.compression, vectors.has_dictionary_page, vectors.is_stats_set) == ("UNCOMPRESSED", False, False)
    assert (ids.compression, ids.has_dictionary_page, ids.is_stats_set) == ("ZSTD", True, True)
    assert pq.read_table(io.BytesIO(output.read(KEY)))["embedding"].type == pa.binary(3)


def test_facts_are_read_from_the_footer(output: Location) -> None:
    part = publish(output, HEADER, TABLE, {"manta.model": "m"})
    assert read_facts(output, part, ["shard", "manta.model"]) == [HEADER.shard, "m"]
    with pytest.raises(StoreError, match="no part that can be read"):
        read_facts(output, part, ["manta.calibration"])


def test_other_readers_read_the_parts(tmp_path: Path) -> None:
    output = locate(str(tmp_path / "out put"))
    for first_row in (0, 6):
        publish(output, replace(HEADER, first_row=first_row), TABLE.drop_columns(["at"]), {})
    glob = f"{output.uri}/parts/**/*.parquet"
    rows = duckdb.sql(f"select id, embedding, tags from '{glob}' where id = 'b'").fetchall()
    assert rows == [("b", [3.0, 4.0, 5.0], [])] * 2
    frame = polars.read_parquet(glob)
    assert frame.schema["embedding"] == polars.Array(polars.Float32, 3)
    assert frame["embedding"].to_list() == VECTORS.tolist() * 2


@pytest.mark.parametrize("data", [b"ruins", b""])
def test_a_part_in_ruins_is_named(output: Location, data: bytes) -> None:
    output.put(KEY, data)
    with pytest.raises(StoreError, match=r"4096-6\.parquet is no part that can be read: .*remove it and run again"):
        read_part_counts(output, PartEntry(ID, 4096, 6, len(data), ""))


def test_a_parquet_file_of_somebody_else_is_no_part(output: Location) -> None:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink)
    output.put(KEY, sink.getvalue())
    with pytest.raises(StoreError, match="no part that can be read"):
        read_part_counts(output, PartEntry(ID, 4096, 6, 1, ""))
