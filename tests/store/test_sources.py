"""Which files are taken, how they are packed, and what is told of one that is wrong."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import ShardError, SpecError
from pipelines.spec import Storage
from pipelines.store.location import Location
from pipelines.store.sources import Source, list_sources, open_source, read_batches
from tests.saved_dataset import save_dataset, save_splits

TABLE = pa.table({"text": ["a", "b", "c"], "label": [0, 1, 0]})


def names(found: list[Source]) -> list[tuple[str, str, str, str]]:
    return [(source.split, source.file.name, source.format, source.compression) for source in found]


def zstd(*frames: bytes) -> bytes:
    return b"".join(map(_frame, frames))


def _frame(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(data)
    return bytes(sink.getvalue())


def content(path: Path) -> bytes:
    (source,) = list_sources(str(path))
    with open_source(source) as reader:
        return reader.read()


def test_files_are_known_by_their_names(output: Location) -> None:
    for key in ("b.jsonl.zst", "a.csv", "d/c.TXT.gz", "d/e.ndjson", "README.md", "_x/y.txt", ".z.txt"):
        output.put(key, b"x")
    assert names(list_sources(output.uri)) == [
        ("", "a.csv", ".csv", ""),
        ("", "b.jsonl.zst", ".jsonl", "zstd"),
        ("", "d/c.TXT.gz", ".txt", "gzip"),
        ("", "d/e.ndjson", ".ndjson", ""),
    ]
    assert names(list_sources([f"{output.uri}/d/*.ndjson", f"{output.uri}/a.csv"])) == [
        ("", "a.csv", ".csv", ""),
        ("", "e.ndjson", ".ndjson", ""),
    ]


def test_other_formats_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"there is no file of documents in .*: name a file, folder or glob of .jsonl"):
        list_sources(str(tmp_path))
    (tmp_path / "a.xlsx").touch()
    with pytest.raises(SpecError, match=r"a\.xlsx is none of .jsonl, .*: leave it out by a glob"):
        list_sources(str(tmp_path))
    (tmp_path / "a.parquet").touch()
    with pytest.raises(SpecError, match="is Parquet already"):
        list_sources(str(tmp_path / "*.parquet"))


def test_of_a_saved_dataset_its_data_files_are_taken(tmp_path: Path) -> None:
    save_dataset(tmp_path / "one", TABLE, TABLE)
    first, second = "data-00000-of-00002.arrow", "data-00001-of-00002.arrow"
    assert names(list_sources(str(tmp_path / "one"))) == [("", first, ".arrow", ""), ("", second, ".arrow", "")]
    with open_source(list_sources(str(tmp_path / "one"))[1]) as reader:
        batches = list(read_batches(reader))
    assert [batch.num_rows for batch in batches] == [2, 1]
    (tmp_path / "one/state.json").write_text("{}")
    with pytest.raises(SpecError, match=r"state\.json names no data files"):
        list_sources(str(tmp_path / "one"))


def test_splits_are_kept_apart(tmp_path: Path) -> None:
    save_splits(tmp_path / "all", train=TABLE, test=TABLE)
    name = "data-00000-of-00001.arrow"
    assert names(list_sources(str(tmp_path / "all"))) == [
        ("test", f"test/{name}", ".arrow", ""),
        ("train", f"train/{name}", ".arrow", ""),
    ]
    assert names(list_sources(str(tmp_path / "all/train"))) == [("", name, ".arrow", "")]


def test_arrow_files_of_either_format_are_read(tmp_path: Path) -> None:
    with pa.ipc.new_file(tmp_path / "x.arrow", TABLE.schema) as writer:
        writer.write_table(TABLE)
    (source,) = list_sources(str(tmp_path))
    with open_source(source) as reader:
        assert read_batches(reader).read_all().equals(TABLE)


def test_packed_files_of_several_frames_are_read_to_their_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    (tmp_path / "a.txt.zst").write_bytes(zstd(b"one\n", b"two\n"))
    assert content(tmp_path / "a.txt.gz") == content(tmp_path / "a.txt.zst") == b"one\ntwo\n"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("cut.txt.gz", gzip.compress(os.urandom(999))[:-99], "cut.txt.gz can't be read to its end: .*Truncated"),
        ("cut.txt.zst", zstd(os.urandom(999))[:-99], "cut.txt.zst can't be read to its end: .*Truncated"),
        ("no.txt.gz", b"plain text", "no.txt.gz can't be read to its end"),
        ("wide.csv", "id,text\n".encode("utf-16"), "wide.csv is in UTF-16: write it in UTF-8"),
    ],
)
def test_a_file_of_wrong_bytes_is_to_blame_itself(name: str, data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ShardError, match=words):
        content(tmp_path / name)


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    (source,) = list_sources(str(tmp_path), Storage())

    def read_while_it_grows() -> None:
        with open_source(source) as reader:
            reader.read()
            (tmp_path / "a.txt").write_text("one\ntwo\n")

    with pytest.raises(ShardError, match="was changed after it was listed"):
        read_while_it_grows()
