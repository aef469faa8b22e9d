"""Anybody's rows: read as they are, through the actors of the jobs, the bad ones told or kept in their places."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ShardError, SpecError
from pipelines.run.local import Encoder
from pipelines.schema import vectors_to_numpy
from pipelines.spec import EmbedSpec
from pipelines.stages.documents import columns_for
from pipelines.stages.recipe import Recipe
from pipelines.stages.rows import RowEncoder, RowReading, RowSource, RowTokenizer, check_columns, through
from pipelines.store.shards import list_shards, read_footer
from tests.tiny import sentence, write_shard

ON_CPU = {"device": "cpu", "num_threads": 1}


@pytest.fixture
def spec(tiny_model: Path) -> EmbedSpec:
    return EmbedSpec(model=str(tiny_model), precision="float32")


def reading_of(corpus: Path, spec: EmbedSpec) -> tuple[RowReading, RowSource]:
    shards = list_shards(str(corpus))
    reading = RowReading(columns=columns_for(spec, read_footer(shards[0]).schema))
    return reading, RowSource(shards, reading)


def test_rows_are_read_as_they_are(spec: EmbedSpec, tmp_path: Path) -> None:
    """Those without text too; ids are made where there are none; small shards share a task."""
    write_shard(tmp_path / "a.parquet", 3, text=[None, "b", ""])
    write_shard(tmp_path / "b.parquet", 2, first=3)
    spec = replace(spec, passthrough=["year"])
    _, source = reading_of(tmp_path, spec)
    (task,) = source.get_read_tasks(200)
    found = pa.concat_tables(task())
    assert found.column_names == ["id", "text", "year"]
    assert found["id"].to_pylist() == [0, 1, 2, 3, 4]
    assert found["text"].to_pylist()[:3] == [None, "b", ""]
    assert source.estimate_inmemory_data_size() == sum(path.stat().st_size for path in tmp_path.iterdir())
    other = replace(spec, text=["text", "year_text"], id="id", passthrough=[])
    texts = {"id": pa.nulls(2, pa.int64()), "year_text": ["x", "y"]}
    write_shard(tmp_path / "other/c.parquet", 2, **texts)
    reading, source = reading_of(tmp_path / "other", other)
    (table,) = reading.rows(list_shards(str(tmp_path / "other")))
    assert table.to_pylist()[0] == {"id": None, "text": sentence(0), "year_text": "x"}


def test_rows_without_ids_are_told_by_their_shard(spec: EmbedSpec, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "a.parquet")
    reading, _ = reading_of(tmp_path, spec)
    (table,) = reading.rows(list_shards(str(tmp_path)))
    assert table["id"].to_pylist() == ["a.parquet:0", "a.parquet:1"]


def test_a_shard_that_lacks_a_column_is_told(spec: EmbedSpec, tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", 3)
    pq.write_table(pa.table({"id": [1]}), tmp_path / "b.parquet")
    reading, _ = reading_of(tmp_path, spec)
    with pytest.raises(ShardError, match=r"b\.parquet has no column 'text'"):
        list(reading.rows(list_shards(str(tmp_path))))


def test_pieces_are_no_longer_than_was_said_and_all_there(spec: EmbedSpec) -> None:
    recipe, texts = Recipe.of(spec), [sentence(n, 1 + n % 9) for n in range(10)]
    pieces = list(RowTokenizer(recipe, "raise", 4)(pa.table({"n": range(10), "text": texts})))
    assert [piece.num_rows for piece in pieces] == [4, 4, 2]
    encoder = RowEncoder(recipe, "raise", 3, ON_CPU, None)
    vectors = pa.concat_tables(encoder(pa.concat_tables(pieces)))
    assert vectors["n"].to_pylist() == list(range(10))
    assert "input_ids" not in vectors.column_names
    np.testing.assert_allclose(vectors_to_numpy(vectors["embedding"]), Encoder(spec).encode(texts), atol=1e-6)
    (none,) = encoder(pieces[0].slice(0, 0))
    assert (none.num_rows, none["embedding"].type) == (0, pa.list_(pa.float32(), 32))


def test_kept_rows_stand_in_their_places_also_between_chunks(spec: EmbedSpec) -> None:
    recipe = Recipe.of(replace(spec, overlong="chunk", max_seqlen=8))
    texts = pa.array([sentence(0, 9), None, b"\xff", sentence(3, 9)], pa.binary()).view(pa.string())
    (found,) = RowTokenizer(recipe, "keep", 10)(pa.table({"id": [5, 6, 7, 8], "text": texts}))
    assert found["id"].to_pylist() == [5, 5, 6, 7, 8, 8]
    assert found["chunk_index"].to_pylist() == [0, 1, None, None, 0, 1]
    assert found["error"].to_pylist() == [None, None, "the text is null", "the text is not valid UTF-8", None, None]
    (encoded,) = RowEncoder(recipe, "keep", 10, ON_CPU, None)(found)
    assert encoded["id"].to_pylist() == [5, 5, 6, 7, 8, 8]
    assert [vector is None for vector in encoded["embedding"].to_pylist()] == [False, False, True, True, False, False]
    assert encoded["error"].to_pylist() == found["error"].to_pylist()


def test_a_bad_row_is_told_by_its_id_and_never_by_its_text(spec: EmbedSpec) -> None:
    texts = pa.array([b"fine", b"secret \xff"], pa.binary()).view(pa.string())
    rows = pa.table({"id": ["a", "b"], "text": texts})
    with pytest.raises(SpecError, match=r"the first is the one with id 'b' \(the text is not valid UTF-8\)") as told:
        list(RowTokenizer(Recipe.of(spec), "raise", 10)(rows))
    assert "secret" not in str(told.value)


def test_token_ids_that_are_none_are_refused(spec: EmbedSpec) -> None:
    encoder = RowEncoder(Recipe.of(spec), "raise", 10, ON_CPU, None)
    with pytest.raises(SpecError, match="'input_ids' is string: it must be lists of token ids"):
        list(encoder(pa.table({"input_ids": ["a"]})))


def test_texts_of_other_types_are_taken_or_refused(spec: EmbedSpec) -> None:
    tokenizer = RowTokenizer(Recipe.of(spec), "raise", 10)
    plain = pa.array(["the union", "a ship"])
    (expected,) = tokenizer(pa.table({"text": plain}))
    for kind in (pa.dictionary(pa.int8(), pa.string()), pa.string_view(), pa.large_string()):
        (found,) = tokenizer(pa.table({"text": plain.cast(kind)}))
        assert found["input_ids"] == expected["input_ids"]
    with pytest.raises(SpecError, match="column 'text' is int64: text must be string"):
        list(tokenizer(pa.table({"text": [1]})))


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ([], r"no column 'text' \(their columns: none\)"),
        (["title"], r"no column 'text' \(their columns: title\): name the text column by EmbedSpec\.text"),
        (["text", "num_tokens"], "a column 'num_tokens' already, which is to be made"),
        (["text", "_row"], "a column '_row' already"),
    ],
)
def test_columns_are_looked_at(there: list[str], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        check_columns(there, ["text"], ["num_tokens"])


def test_what_comes_through_is_what_the_stage_made() -> None:
    rows = pa.table({"id": [1, 2], "x": [3, 4]})
    assert through(lambda folded: folded, rows, "raise", "id").equals(rows)
    kept = through(lambda folded: folded, rows, "keep", "id")
    assert kept.to_pydict() == {"id": [1, 2], "x": [3, 4], "error": [None, None]}
