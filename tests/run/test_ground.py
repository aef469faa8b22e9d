"""What a run stands on: the corpus listed, the output claimed, both apart from each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import FingerprintError, SpecError
from pipelines.run.ground import Ground, survey, would_list
from pipelines.run.order import Order
from pipelines.spec import EmbedSpec, Slicing
from pipelines.stages.recipe import Recipe
from pipelines.store.location import locate
from tests.tiny import listing, write_shard


def order(folder: Path, **fields: object) -> Order:
    asked = {"job": "embed", "documents": str(folder / "corpus"), "output": str(folder / "vectors")}
    return Order(**asked | fields)  # type: ignore[arg-type]


@pytest.fixture
def spec(tiny_model: Path) -> EmbedSpec:
    return EmbedSpec(model=str(tiny_model), precision="float32")


def stand(folder: Path, spec: EmbedSpec, **fields: object) -> Ground:
    return survey(order(folder, **fields), Recipe.of(spec))


def test_a_new_output_is_claimed_and_a_known_one_keeps_slicing_and_types(tmp_path: Path, spec: EmbedSpec) -> None:
    write_shard(tmp_path / "corpus/b.parquet", id=pa.array(range(10), pa.int16()))
    first = stand(tmp_path, spec, slicing=Slicing(max_rows=7))
    assert [shard.name for shard in first.shards] == ["b.parquet"]
    assert (first.slicing.max_rows, first.columns.id_type, first.row_bytes) == (7, pa.int16(), 4 * 32 + 16)
    write_shard(tmp_path / "corpus/a.parquet", id=pa.array(range(10), pa.int64()))
    again = stand(tmp_path, spec, slicing=Slicing(max_rows=9))
    assert (again.slicing.max_rows, again.columns.id_type) == (7, pa.int16())
    assert len(again.shards) == 2


def test_the_first_shard_that_has_the_columns_gives_their_types(tmp_path: Path, spec: EmbedSpec) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/a.parquet").write_bytes(b"no Parquet")
    write_shard(tmp_path / "corpus/b.parquet", text=pa.array([1] * 10))
    write_shard(tmp_path / "corpus/c.parquet", id=pa.array([str(n) for n in range(10)]))
    assert stand(tmp_path, spec).columns.id_type == pa.string()


def test_a_usable_shard_is_found_behind_many_that_are_not(
    tmp_path: Path, spec: EmbedSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.run.ground.AT_A_TIME", 2)
    for number in range(6):
        write_shard(tmp_path / f"corpus/{number}.parquet", text=pa.array([1] * 10))
    write_shard(tmp_path / "corpus/6.parquet", id=pa.array(range(10), pa.int16()))
    write_shard(tmp_path / "corpus/7.parquet", id=pa.array(range(10), pa.int32()))
    assert stand(tmp_path, spec).columns.id_type == pa.int16()


@pytest.mark.parametrize(
    ("text", "first", "reason"),
    [
        ("body", None, "a.parquet has no column 'body' (its columns: id, text, year)"),
        ("year", None, "a.parquet column 'year' is int64: text must be string or large_string"),
        ("body", b"no Parquet", "a.parquet can't be read as Parquet: "),
        ("body", b"", "a.parquet can't be read as Parquet: "),
    ],
    ids=["misspelt", "of another type", "no Parquet", "empty"],
)
def test_a_corpus_without_a_usable_shard_is_refused_in_a_line_and_nothing_written(
    tmp_path: Path, spec: EmbedSpec, text: str, first: bytes | None, reason: str
) -> None:
    for name in "abc":
        write_shard(tmp_path / f"corpus/{name}.parquet")
    if first is not None:
        (tmp_path / "corpus/a.parquet").write_bytes(first)
    before = listing(tmp_path)
    with pytest.raises(SpecError) as refused:
        stand(tmp_path, EmbedSpec(model=spec.model, text=text))
    line = str(refused.value)
    assert line.startswith(f"none of the 3 shards can be used; the first: {reason}")
    assert line.endswith("; check --documents, and the columns that --spec.text, --spec.id and --spec.passthrough name")
    assert "\n" not in line
    assert listing(tmp_path) == before
    assert not (tmp_path / "vectors").exists()


def test_another_spec_is_refused_and_its_own_place_offered(tmp_path: Path, spec: EmbedSpec) -> None:
    write_shard(tmp_path / "corpus/a.parquet")
    stand(tmp_path, spec)
    before = listing(tmp_path)
    other = EmbedSpec(model=spec.model, precision="float32", dim=16)
    with pytest.raises(FingerprintError, match=r"dim: 32 -> 16.*--output .*/\{fingerprint\}/"):
        stand(tmp_path, other)
    assert listing(tmp_path) == before
    beside = stand(tmp_path, other, output=str(tmp_path / "{fingerprint}"))
    assert beside.output.uri == str(tmp_path / beside.agreed.fingerprint)


def test_chunks_that_overlap_make_slices_smaller(tmp_path: Path, spec: EmbedSpec) -> None:
    write_shard(tmp_path / "corpus/a.parquet")
    chunked = EmbedSpec(model=spec.model, overlong="chunk", stride=20)
    slicing = stand(tmp_path, chunked, slicing=Slicing(max_output_bytes=144_000)).slicing
    # 144,000 / (4 x 32 + 16) = 1,000 vectors, one each 32 - 2 - 20 = 10 tokens, of 2 bytes at least
    assert slicing.max_bytes == 1000 * 10 * 2


def test_codes_are_reckoned_with_as_small_as_they_are(tmp_path: Path, spec: EmbedSpec) -> None:
    write_shard(tmp_path / "corpus/a.parquet")
    for dtype, row_bytes in {"float16": 64 + 16, "int8": 32 + 16, "binary": 4 + 16}.items():
        chunked = EmbedSpec(model=spec.model, overlong="chunk", stride=20, output_dtype=dtype)  # type: ignore[arg-type]
        asked = {"slicing": Slicing(max_output_bytes=144_000), "output": str(tmp_path / dtype)}
        ground = stand(tmp_path, chunked, **asked)
        assert ground.row_bytes == row_bytes
        assert ground.slicing.max_bytes == 144_000 // row_bytes * 10 * 2


@pytest.mark.parametrize("place", ["corpus", "corpus/vectors", "corpus/deep/er"])
def test_an_output_among_the_documents_is_refused_at_once(tmp_path: Path, spec: EmbedSpec, place: str) -> None:
    write_shard(tmp_path / "corpus/deep/a.parquet")
    with pytest.raises(SpecError, match=r"is (among the documents|under the output)"):
        stand(tmp_path, spec, output=str(tmp_path / place))
    assert list(tmp_path.rglob("_manta")) == []


def test_documents_in_the_output_are_refused(tmp_path: Path, spec: EmbedSpec) -> None:
    write_shard(tmp_path / "all/corpus/a.parquet")
    with pytest.raises(SpecError, match="is under the output"):
        stand(tmp_path, spec, documents=str(tmp_path / "all/corpus"), output=str(tmp_path / "all"))


@pytest.mark.parametrize(
    ("root", "path", "inside"),
    [
        ("/c", "/c/out/parts/0/0-1.parquet", True),
        ("/c", "/corpus/parts/0/0-1.parquet", False),
        ("/c", "/c/_out/parts/0/0-1.parquet", False),  # hidden names are passed over
        ("/c/a.parquet", "/c/out/parts/0/0-1.parquet", False),
        ("/c/*.parquet", "/c/out/parts/0/0-1.parquet", False),
        ("/c/*", "/c/out/parts/0/0-1.parquet", True),  # a folder that matches is taken whole
        ("/c/**/*.parquet", "/c/out/parts/0/0-1.parquet", True),
        ("s3://b/c", "s3://b/c/out/parts/0/0-1.parquet", True),
        ("s3://b/c", "s3://b/d/parts/0/0-1.parquet", False),
        ("s3://b", "s3://b/d/parts/0/0-1.parquet", True),
    ],
)
def test_would_list(root: str, path: str, inside: bool) -> None:
    assert would_list(root, path) is inside


def test_local_files_are_those_that_every_node_must_see(tmp_path: Path, spec: EmbedSpec) -> None:
    write_shard(tmp_path / "corpus/a.parquet")
    ground = stand(tmp_path, spec)
    assert ground.local_inputs == [str(tmp_path / "corpus"), spec.model]
    assert ground.local_files == [*ground.local_inputs, f"{ground.output.path}/_manta/spec.json"]
    far = replace(ground, order=replace(ground.order, documents=["s3://b/x/", "s3://b/y/"]), output=locate("s3://b/z"))
    assert far.local_files == far.local_inputs == [spec.model]
