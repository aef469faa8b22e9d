"""The verbs on any dataset: the vectors of the job, in the order of the rows, and no row lost in silence."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray.data
from ray.data import DataContext

from jobs.embed import embed
from pipelines.errors import MantaError, SpecError
from pipelines.run.cause import cause
from pipelines.run.cluster import ClusterResources, Node, NodeType
from pipelines.run.verbs import encode, read, tokenize, with_room
from pipelines.schema import vectors_to_numpy
from pipelines.spec import EmbedSpec, EncodePool
from tests.tiny import sentence, write_shard

pytestmark = pytest.mark.usefixtures("ray_session")
ON_CPU = EncodePool(num_threads=1)


@pytest.fixture
def spec(tiny_model: Path) -> EmbedSpec:
    return EmbedSpec(model=str(tiny_model), precision="float32")


def table_of(dataset: Any) -> pa.Table:
    """All rows of a dataset."""
    return pa.concat_tables(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))


def refusal(dataset: Any) -> MantaError:
    """What running a dataset is refused with."""
    with pytest.raises(Exception) as raised:  # noqa: PT011
        dataset.materialize()
    error = cause(raised.value)
    assert error is not None, raised.value
    return error


def test_vectors_are_those_of_the_job_in_the_order_of_the_corpus(
    spec: EmbedSpec, tmp_path: Path, data_context: DataContext
) -> None:
    """Small blocks and many of them, so that whoever comes first could be first."""
    shards = [write_shard(tmp_path / f"corpus/{n}.parquet", 30, first=100 - 30 * n) for n in range(4)]
    spec = replace(spec, passthrough=["year"])
    rows = read(str(tmp_path / "corpus"), spec)
    assert rows.take(2) == [{name: shards[0][name][n].as_py() for name in ("id", "text", "year")} for n in (0, 1)]
    found = table_of(encode(tokenize(rows, spec, batch_size=7), spec, ON_CPU, batch_size=5))
    assert found.column_names == ["id", "text", "year", "num_tokens", "truncated", "embedding"]
    assert found["id"].to_pylist() == [n for shard in shards for n in shard["id"].to_pylist()]
    assert embed(spec, str(tmp_path / "corpus"), str(tmp_path / "vectors"), gpu=ON_CPU) == 0
    theirs = pq.read_table(tmp_path / "vectors/parts").sort_by("id")
    ours = found.drop_columns(["text"]).sort_by("id")
    for name in ("id", "year", "num_tokens", "truncated"):
        assert ours[name].to_pylist() == theirs[name].to_pylist()
    assert ours["embedding"].type == theirs["embedding"].type
    np.testing.assert_allclose(vectors_to_numpy(ours["embedding"]), vectors_to_numpy(theirs["embedding"]), atol=1e-6)


def test_rows_of_anybody_go_through_and_keep_what_they_have(spec: EmbedSpec) -> None:
    before = DataContext.get_current().execution_options.preserve_order
    theirs = ray.data.from_items([{"name": f"n{n}", "text": sentence(n), "tags": ["a", "b"]} for n in range(5)])
    tokens = tokenize(theirs, spec)
    first = tokens.take(2)
    assert [row["name"] for row in first] == ["n0", "n1"]
    assert all(row["num_tokens"] == len(row["input_ids"]) for row in first)
    rows = encode(tokens, spec, ON_CPU).take(3)
    assert [list(row) for row in rows] == [["name", "text", "tags", "num_tokens", "truncated", "embedding"]] * 3
    assert np.linalg.norm(rows[0]["embedding"]) == pytest.approx(1)
    assert theirs.context.execution_options.preserve_order is before


def test_rows_come_in_order_also_where_the_first_is_made_last(spec: EmbedSpec) -> None:
    rows = ray.data.range(6, override_num_blocks=6).map(_slowly)
    assert table_of(tokenize(rows, spec))["id"].to_pylist() == [0, 1, 2, 3, 4, 5]


def _slowly(row: dict[str, Any]) -> dict[str, Any]:
    time.sleep(2 if row["id"] == 0 else 0)
    return {"id": row["id"], "text": sentence(row["id"])}


def test_take_brings_only_so_many_rows_to_the_actors(spec: EmbedSpec) -> None:
    """A bad row that nobody asked for is not met."""
    rows = ray.data.from_items([{"text": "a"}, {"text": "the union"}, {"text": None}], override_num_blocks=1)
    assert len(encode(tokenize(rows, spec), spec, ON_CPU).take(2)) == 2


def test_chunks_of_a_document_follow_each_other(spec: EmbedSpec) -> None:
    spec = replace(spec, overlong="chunk", max_seqlen=8)
    rows = ray.data.from_items([{"id": n, "text": sentence(n, 9)} for n in range(3)])
    found = table_of(encode(tokenize(rows, spec), spec, ON_CPU))
    assert found["id"].to_pylist() == [0, 0, 1, 1, 2, 2]
    assert found["chunk_index"].to_pylist() == [0, 1] * 3
    assert found["char_start"].to_pylist()[::2] == [0, 0, 0]


def test_bad_rows_stop_it_or_are_kept_with_the_reason(spec: EmbedSpec) -> None:
    """Also those that the encoder alone can tell."""
    texts = pa.array([sentence(0), None, sentence(2), sentence(3)], pa.string())
    rows = ray.data.from_arrow(pa.table({"id": [10, 11, 12, 13], "text": texts}))
    error = refusal(tokenize(rows, spec))
    assert isinstance(error, SpecError)
    assert "1 rows can't be processed, the first is the one with id 11 (the text is null)" in str(error)
    tokens = tokenize(rows, spec, bad_rows="keep")
    spoiled = tokens.map_batches(_spoil, batch_format="pyarrow")
    found = table_of(encode(spoiled, spec, ON_CPU, bad_rows="keep"))
    assert found.column_names == ["id", "text", "num_tokens", "truncated", "embedding", "error"]
    assert found["id"].to_pylist() == [10, 11, 12, 13]
    assert [vector is None for vector in found["embedding"].to_pylist()] == [False, True, False, True]
    reasons = found["error"].to_pylist()
    assert reasons[:3] == [None, "the text is null", None]
    assert "vocabulary" in reasons[3]
    assert "1 rows can't be processed" in str(refusal(encode(spoiled.filter(_is_sound), spec, ON_CPU)))


def _spoil(rows: pa.Table) -> pa.Table:
    """One row gets ids that no model has; and all of them a type of which there are others."""
    both = zip(rows["id"].to_pylist(), rows["input_ids"].to_pylist(), strict=True)
    ids = pa.array([[2, 10**6, 3] if n == 13 else ids for n, ids in both], pa.list_(pa.int64()))
    return rows.set_column(rows.column_names.index("input_ids"), "input_ids", ids)


def _is_sound(row: dict[str, Any]) -> bool:
    return row["error"] is None


def test_columns_that_do_not_fit_are_told_before_anything_runs(spec: EmbedSpec) -> None:
    rows = ray.data.from_items([{"id": 1, "body": "a"}])
    with pytest.raises(SpecError, match=r"no column 'text' \(their columns: id, body\): name the text column"):
        tokenize(rows, spec)
    with pytest.raises(SpecError, match=r"no column 'input_ids' \(their columns: id, body\): tokenize the rows first"):
        encode(rows, spec)
    with pytest.raises(SpecError, match=r"have a column 'truncated' already"):
        tokenize(ray.data.from_items([{"text": "a", "truncated": 1}]), spec)
    with pytest.raises(SpecError, match="output_dtype is 'int8': write float32 or float16"):
        encode(rows, replace(spec, output_dtype="int8"))


def test_columns_that_are_not_known_before_are_told_while_it_runs(spec: EmbedSpec) -> None:
    rows = ray.data.range(3).map(lambda row: {"body": row["id"]})
    assert "no column 'text' (their columns: body)" in str(refusal(tokenize(rows, spec)))
    numbers = ray.data.range(3).map(lambda row: {"text": row["id"]})
    assert "column 'text' is int64: text must be string" in str(refusal(tokenize(numbers, spec)))


def test_each_node_keeps_room() -> None:
    """A Ray Data task takes a CPU, whatever else is there."""
    resources = ClusterResources(
        nodes=(Node(cpus=2), Node(cpus=16, gpus=1), Node(cpus=1), Node(cpus=0)),
        may_add=(NodeType(node=Node(cpus=8), most=3),),
    )
    kept = with_room(resources)
    assert [node.cpus for node in kept.nodes] == [1, 15, 0.5, 0]
    assert kept.may_add == (NodeType(node=Node(cpus=7), most=3),)
