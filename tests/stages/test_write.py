"""Slices to parts: the columns asked for, a footer that says how, a receipt; nothing where the sums don't add up."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import StoreError
from pipelines.schema import RECEIPT, DeadLetter, SliceHeader, fold, vectors_to_arrow
from pipelines.stages.slicewise import ROW
from pipelines.stages.write import PartWriter
from pipelines.store.location import locate
from pipelines.store.parts import read_dead_letters

COLUMNS = ["id", "embedding", "num_tokens"]
LETTER = DeadLetter(row=7, stage="read", reason="the text is null")


def header(**fields):
    known = {"shard": "a.parquet", "shard_id": "0123456789abcdef", "first_row": 5, "num_documents": 3}
    return SliceHeader(**known | fields)


def slice_of(head, rows=(5, 6)):
    import numpy as np

    vectors = vectors_to_arrow(np.arange(2 * len(rows), dtype=np.float32).reshape(-1, 2), pa.float32())
    table = {ROW: list(rows), "year": [1] * len(rows), "num_tokens": [4] * len(rows), "id": list(rows)}
    return fold(pa.table({**table, "embedding": vectors}), head)


@pytest.fixture
def writer(tmp_path):
    return PartWriter(locate(str(tmp_path)), COLUMNS, {"manta.model": "m", "manta.precision": "auto"})


def test_one_slice_in_one_part_out(writer, tmp_path):
    head = header(dead_letters=(LETTER,), facts={"precision": "float32"}, stats={"num_tokens": 8})
    receipt = writer(slice_of(head))
    key = "parts/0123456789abcdef/5-3.parquet"
    part = pq.read_table(tmp_path / key)
    assert part.column_names == COLUMNS
    assert part.to_pydict() == {"id": [5, 6], "embedding": [[0.0, 1.0], [2.0, 3.0]], "num_tokens": [4, 4]}
    assert part.schema.metadata == {
        b"manta.model": b"m", b"manta.precision": b"float32", b"num_documents": b"3", b"num_rows": b"2",
        b"num_dead_letters": b"1", b"shard": b"a.parquet",
    }  # fmt: skip
    assert receipt.schema.names == RECEIPT.names
    (told,) = receipt.drop_columns(["_slice"]).to_pylist()
    stat = (tmp_path / key).stat()
    assert told == {"part": key, "num_rows": 2, "part_bytes": stat.st_size, "part_version": str(stat.st_mtime_ns)}
    back = SliceHeader.from_arrow(receipt["_slice"][0])
    assert (back.dead_letters, back.stats["num_tokens"], back.stats["write_bytes"]) == ((LETTER,), 8, stat.st_size)
    assert read_dead_letters(locate(str(tmp_path)), [key]).to_pylist() == [
        {"shard": "a.parquet", "shard_id": "0123456789abcdef", **vars(LETTER)}
    ]


def test_chunks_of_a_document_count_as_one(writer, tmp_path):
    receipt = writer(slice_of(header(num_documents=2), rows=(5, 5, 5, 6)))
    assert receipt["num_rows"].to_pylist() == [4]


def test_a_slice_of_dead_letters_alone_is_an_empty_part(writer, tmp_path):
    receipt = writer(slice_of(header(num_documents=1, first_row=7, dead_letters=(LETTER,)), rows=()))
    assert pq.read_table(tmp_path / receipt["part"][0].as_py()).num_rows == 0


@pytest.mark.parametrize("letters", [(), (LETTER, LETTER, DeadLetter(row=6, stage="read", reason="x"))])
def test_rows_that_do_not_add_up_are_not_written(writer, tmp_path, letters):
    with pytest.raises(StoreError, match=r"3 documents went in, 2 came out and [02] are dead letters"):
        writer(slice_of(header(dead_letters=letters)))
    assert list(tmp_path.rglob("*.parquet")) == []


def test_an_error_slice_is_received_and_not_written(writer, tmp_path):
    receipt = writer(fold(pa.table({}), header(error="it ends here")))
    assert receipt.drop_columns(["_slice"]).to_pylist() == [
        {"part": "", "num_rows": 0, "part_bytes": 0, "part_version": ""}
    ]
    assert list(tmp_path.iterdir()) == []
