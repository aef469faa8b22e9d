"""Which files are shards, under which names; what a footer says; what is refused and how."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ShardError, SpecError, StoreError
from pipelines.spec import Storage
from pipelines.store.formats import conversion
from pipelines.store.location import Location, locate
from pipelines.store.shards import Footer, Shard, list_shards, open_shard, read_footer, read_footers

TABLE = pa.table({"id": [1, 2, 3], "text": ["a", "b", "c"]})


def parquet(table: pa.Table = TABLE) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def corpus(root: Location, *keys: str) -> Location:
    for key in keys:
        root.put(key, parquet())
    return root


def names(documents: str | list[str]) -> list[str]:
    return [shard.name for shard in list_shards(documents)]


def test_a_folder_is_searched_through_in_order_of_names(output: Location) -> None:
    corpus(output, "b.parquet", "a.parquet", "year=2024/lang=de/p 1.parquet", "ünï/x.parq", "ünï/part-00000")
    found = ["a.parquet", "b.parquet", "year=2024/lang=de/p 1.parquet", "ünï/part-00000", "ünï/x.parq"]
    assert names(output.uri) == names(output.uri + "/") == found
    shard = list_shards(output.uri)[2]
    assert shard.uri == f"{output.uri}/year=2024/lang=de/p 1.parquet"
    assert shard.size == len(parquet())


def test_a_file_is_a_corpus_of_one(output: Location) -> None:
    corpus(output, "x/a.parquet", "x/a.parquet2")
    assert names(f"{output.uri}/x/a.parquet") == ["a.parquet"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.parquet", ["a.parquet"]),
        ("y=*/*.parquet", ["y=1/b.parquet", "y=2/b.parquet"]),
        ("y=*", ["y=1/b.parquet", "y=2/b.parquet", "y=2/z/c.parquet"]),
        ("y=[2]/b.parquet", ["y=2/b.parquet"]),
        ("**/c.parquet", ["y=2/z/c.parquet"]),
        ("y=?/**", ["y=1/b.parquet", "y=2/b.parquet", "y=2/z/c.parquet"]),
    ],
)
def test_globs(output: Location, pattern: str, expected: list[str]) -> None:
    corpus(output, "a.parquet", "y=1/b.parquet", "y=2/b.parquet", "y=2/z/c.parquet", "y=2/_tmp/d.parquet")
    assert names(f"{output.uri}/{pattern}") == expected


def test_names_of_a_glob_begin_at_its_last_folder_without_a_wildcard(output: Location) -> None:
    corpus(output, "in/y=1/b.parquet")
    assert names(f"{output.uri}/in/y=*/b.parquet") == ["y=1/b.parquet"]


def test_a_path_with_brackets_that_exists_is_no_glob(tmp_path: Path) -> None:
    folder = tmp_path / "corpus [v1]"
    folder.mkdir()
    (folder / "a[0].parquet").write_bytes(parquet())
    assert names(str(folder)) == names(str(folder / "a[0].parquet")) == ["a[0].parquet"]


def test_hidden_files_and_those_that_lie_beside_are_passed_over(output: Location) -> None:
    corpus(output, "a.parquet", "_delta_log/b.parquet", ".cache/c.parquet", "_SUCCESS", "x/.a.parquet.crc", "README.md")
    assert names(output.uri) == ["a.parquet"]


def test_a_list(output: Location) -> None:
    corpus(output, "x/a.parquet", "y/b.parquet")
    assert names([f"{output.uri}/y", f"{output.uri}/x", f"{output.uri}/x"]) == ["a.parquet", "b.parquet"]


def test_two_shards_of_one_name_are_refused_with_the_remedy(output: Location) -> None:
    corpus(output, "x/a.parquet", "y/a.parquet")
    with pytest.raises(SpecError, match=r"would both be shard 'a\.parquet': name the folder that holds both"):
        list_shards([f"{output.uri}/x", f"{output.uri}/y"])


@pytest.mark.parametrize("name", ["a.jsonl", "a.CSV", "a.txt", "a.json.gz", "a.parquet.zst"])
def test_other_formats_are_refused_with_the_command_that_converts_them(output: Location, name: str) -> None:
    corpus(output, "a.parquet", name)
    for documents in (output.uri, f"{output.uri}/{name}"):
        with pytest.raises(SpecError, match=r"leave it out by a glob such as FOLDER/\*\.parquet") as refusal:
            list_shards(documents)
        assert str(refusal.value).endswith(f"what converts it: {conversion(output.join(name))}")
    assert names(f"{output.uri}/*.parquet") == ["a.parquet"]


def test_a_json_file_lies_beside_unless_it_is_named_itself(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(SpecError, match="there is no Parquet file in"):
        list_shards(str(tmp_path))
    with pytest.raises(SpecError, match=r"what converts it: python -m jobs\.convert"):
        list_shards(str(tmp_path / "a.json"))


def test_what_no_command_converts_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"")
    with pytest.raises(SpecError, match="convert or unpack it with what wrote it"):
        list_shards(str(tmp_path))


def test_nothing_there(output: Location) -> None:
    corpus(output, "empty/README.md")
    for documents in (f"{output.uri}/empty", f"{output.uri}/empty/*.parquet"):
        with pytest.raises(SpecError, match="there is no Parquet file in"):
            list_shards(documents)
    with pytest.raises(SpecError, match="missing: there is nothing there"):
        list_shards(f"{output.uri}/missing")
    with pytest.raises(SpecError, match="empty list"):
        list_shards([])


def test_a_folder_in_use_may_be_read_through_links_that_lead_in_circles(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.parquet").write_bytes(parquet())
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.parquet").write_bytes(parquet())
    (tmp_path / "in" / "more").symlink_to(tmp_path / "more")
    assert names(str(tmp_path / "in")) == ["a.parquet", "more/b.parquet"]


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.parquet")).write_bytes(parquet())
    with pytest.raises(SpecError, match="no UTF-8: rename"):
        list_shards(str(tmp_path))


def test_other_protocols_are_listed_and_read() -> None:
    import fsspec

    fsspec.filesystem("memory").pipe({"/corpus/x=1/a.parquet": parquet(), "/corpus/_b.parquet": b""})
    [shard] = list_shards("memory://corpus")
    assert (shard.name, shard.size) == ("x=1/a.parquet", len(parquet()))
    assert read_footer(shard).num_rows == 3
    assert list_shards("memory://corpus/x=1/*.parquet")[0].name == "a.parquet"


def test_an_identity_is_name_size_and_version() -> None:
    shard = Shard("a.parquet", "/x/a.parquet", 10, "v")
    assert shard.shard_id == Shard("a.parquet", "s3://elsewhere/a.parquet", 10, "v").shard_id
    others = [Shard("b.parquet", "", 10, "v"), Shard("a.parquet", "", 11, "v"), Shard("a.parquet", "", 10, "w")]
    assert len({shard.shard_id, *(other.shard_id for other in others)}) == 4
    assert shard.shard_id == "8d63781e6b9c6407"  # printf 'a.parquet\0%s\0v' 10 | sha256sum


def test_a_footer(output: Location) -> None:
    table = pa.table({"id": [1, 2], "text": pa.array(["a", "a"]).dictionary_encode()})
    output.put("a.parquet", parquet(table))
    [shard] = list_shards(output.uri)
    assert read_footer(shard) == Footer(2, pa.schema([("id", pa.int64()), ("text", pa.string())]), 1)


WRONG = {
    "no Parquet": b"hello, this is text",
    "empty": b"",
    "truncated": parquet()[:-20],
    "half": parquet()[: len(parquet()) // 2],
    "footer too long": parquet()[:-8] + b"\xff\xff\xff\x7fPAR1",
    "footer in ruins": parquet()[:-60] + b"\x00" * 52 + parquet()[-8:],
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_with_a_shard_is_said_of_the_shard(output: Location, kind: str) -> None:
    output.put("bad.parquet", WRONG[kind])
    [shard] = list_shards(output.uri)
    with pytest.raises(ShardError, match=r"bad\.parquet can't be read as Parquet") as error:
        read_footer(shard)
    assert "\n" not in str(error.value)


def test_footers_of_many_shards_and_what_is_wrong_with_some(output: Location) -> None:
    corpus(output, *(f"{i}.parquet" for i in range(9)))
    output.put("bad.parquet", b"no")
    shards = list_shards(output.uri)
    progress: list[int] = []
    footers = read_footers(shards, threads=3, on_progress=progress.append)
    assert [type(footers[shard.shard_id]).__name__ for shard in shards] == ["Footer"] * 9 + ["ShardError"]
    assert progress == list(range(1, 11))
    assert read_footers([]) == {}


def test_a_failure_of_the_world_while_footers_are_read_is_no_fault_of_a_shard(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [shard] = list_shards(corpus(locate(f"s3://{bucket}/wrong-secret"), "a.parquet").uri)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreError, match="access is denied"):
        read_footers([shard], Storage())


def test_our_own_mistakes_are_not_laid_at_a_shards_door(output: Location) -> None:
    corpus(output, "a.parquet")
    with pytest.raises(TypeError, match="ours"), open_shard(list_shards(output.uri)[0]):
        raise TypeError("ours")
