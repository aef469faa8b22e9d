"""A stage's actors see one slice a call, whatever the blocks, and each slice once."""

from __future__ import annotations

import pyarrow as pa
import ray.data

from pipelines.schema import SliceHeader, fold, unfold
from pipelines.stages.actors import ActorPool, on_slices


class Marker:
    def __init__(self, mark: str) -> None:
        self._mark = mark

    def __call__(self, batch: pa.Table) -> pa.Table:
        documents, header = unfold(batch)  # refuses more than one slice
        return fold(documents.append_column("mark", pa.array([self._mark] * documents.num_rows)), header)


def slices(numbers: range) -> pa.Table:
    heads = [SliceHeader(shard="a", shard_id="b", first_row=n, num_documents=n) for n in numbers]
    return pa.concat_tables([fold(pa.table({"n": pa.array(range(h.first_row), pa.int64())}), h) for h in heads])


def test_one_slice_a_call_also_where_a_block_holds_many(ray_session: None) -> None:
    dataset = ray.data.from_arrow([slices(range(1, 7)), slices(range(7, 9))])
    pool = ActorPool(min=1, max=2, initial=2, num_cpus=0.5)
    marked = on_slices(dataset, Marker, pool, mark="seen").take_all()
    assert sorted(row["_slice"]["first_row"] for row in marked) == list(range(1, 9))
    assert all(list(row["mark"]) == ["seen"] * row["_slice"]["num_documents"] for row in marked)
