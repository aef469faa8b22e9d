"""A corpus of shards as the world has them: odd texts, odd types, broken files. What is to become of each is told."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.tiny import sentence, write_shard

CANARY = "wombat"
"""Stands in every odd text: it may be found nowhere in an output."""

TEXTS: list[bytes | None] = [
    f"the king {CANARY}".encode(),
    None,
    b"",
    f"bread {CANARY} ".encode() * 75_000,  # 1 MB
    f"lone \ud800 {CANARY}".encode("utf-8", "surrogatepass"),
    f"latin-1 caf\xe9 {CANARY}".encode("latin-1"),
    f"a\0b {CANARY}".encode(),
    f"🙂 👩‍👩‍👧 {CANARY}".encode(),
    f"مرحبا بالعالم שלום {CANARY}".encode(),
    f"東京の天気 {CANARY}".encode(),
    f"no id {CANARY}".encode(),
    b" \t\n ",
]
IDS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, None, 11]

ROWS = {
    "a-odd.parquet": 8,
    "b-no-rows.parquet": 0,
    "c-no-row-groups.parquet": 0,
    "c-untyped.parquet": 0,
    "d-nested.parquet": 5,
    "e-dictionary.parquet": 6,
    "f-other-order.parquet": 4,
    "g-small-ids.parquet": 3,
    "h-text-ids.parquet": 3,
    "p/year=1900/part.parquet": 4,
}
"""Rows in the output by shard."""

DEAD = {
    (0, "read", "the text is null"),  # of c-untyped, whose text is of type null
    (1, "read", "the text is null"),
    (10, "read", "the id is null"),
    (4, "tokenize", "the text is not valid UTF-8"),
    (5, "tokenize", "the text is not valid UTF-8"),
}
"""Dead letters: row, stage, reason. All but the first are of a-odd."""

SET_ASIDE = {
    "v-no-text.parquet": "has no column 'text'",
    "w-names-for-ids.parquet": "can't become int64",
    "x-corrupt.parquet": "can't be read as Parquet",
    "y-truncated.parquet": "can't be read as Parquet",
    "z-no-parquet.parquet": "can't be read as Parquet",
}
"""Shards to be set aside, and words of the reason."""


def write(folder: Path) -> Path:
    """The corpus."""
    _odd(folder / "a-odd.parquet")
    write_shard(folder / "b-no-rows.parquet", 0, id=pa.array([], pa.int64()), text=pa.array([], pa.string()))
    schema = pa.schema({"id": pa.int64(), "text": pa.string()})
    pq.ParquetWriter(folder / "c-no-row-groups.parquet", schema).close()
    write_shard(folder / "c-untyped.parquet", 1, id=[99], text=[None])
    nested = pa.array([[{"a": [n]}] for n in range(5)])
    write_shard(folder / "d-nested.parquet", 5, 100, nested=nested)
    write_shard(folder / "e-dictionary.parquet", 6, 200, text=pa.array(["the king", "bread"] * 3).dictionary_encode())
    other = write_shard(folder / "f-other-order.parquet", 4, 300, more=[1.5] * 4)
    pq.write_table(other.select(["more", "text", "year", "id"]), folder / "f-other-order.parquet")
    write_shard(folder / "g-small-ids.parquet", 3, id=pa.array([1, 2, 3], pa.uint8()))
    write_shard(folder / "h-text-ids.parquet", 3, id=["400", "401", "402"])
    write_shard(
        folder / "p/year=1900/part.parquet", 4, 500, text=pa.array([sentence(n) for n in range(4)], pa.large_string())
    )
    pq.write_table(pa.table({"id": [1], "body": ["x"]}), folder / "v-no-text.parquet")
    write_shard(folder / "w-names-for-ids.parquet", 3, id=["one", "two", "three"])
    whole = (folder / "d-nested.parquet").read_bytes()
    (folder / "x-corrupt.parquet").write_bytes(whole[:-200] + bytes(100) + whole[-100:])
    (folder / "y-truncated.parquet").write_bytes(whole[:-50])
    (folder / "z-no-parquet.parquet").write_bytes(CANARY.encode() * 100)
    (folder / "README.md").write_text("passed over")
    return folder


def _odd(path: Path) -> None:
    texts = pa.array(TEXTS, pa.binary())
    unchecked = pa.Array.from_buffers(pa.string(), len(texts), texts.buffers())
    write_shard(path, len(TEXTS), id=pa.array(IDS, pa.int64()), text=unchecked)


def _buffers(column: pa.ChunkedArray) -> list[bytes]:
    return [bytes(buffer) for chunk in column.chunks for buffer in chunk.buffers() if buffer is not None]


def leaks(folder: Path) -> list[str]:
    """Files under an output in which a text can be read. Tables are decoded first: they are compressed."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        told = path.read_bytes()
        if path.suffix == ".parquet" and path.name not in SET_ASIDE:
            table = pq.read_table(path)
            told += b" ".join(buffer for column in table.columns for buffer in _buffers(column))
        found += [str(path.relative_to(folder))] if CANARY.encode() in told else []
    return found
