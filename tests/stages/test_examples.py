"""Slices of documents to slices of examples: what is held out, left out, and dead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import StoreError
from pipelines.examples import examples_schema
from pipelines.schema import SliceHeader, fold, unfold
from pipelines.stages.decision import Decision
from pipelines.stages.documents import TARGET, TEXT, DocumentColumns
from pipelines.stages.examples import ExampleMaker, part_columns
from pipelines.stages.instances import IS_HELD_OUT
from pipelines.stages.slicewise import ROW
from pipelines.store.location import Location, locate
from pipelines.text.document_keys import document_keys
from pipelines.text.ragged import Ragged
from pipelines.text.split import split_by_id
from tests.stages.makers import recipe

FIELDS: dict[str, Any] = {"label": "label", "labels": ["no", "yes"], "eval_share": 0.5}


def documents(num: int, **columns: Any) -> pa.Table:
    header = SliceHeader(shard="a", shard_id="b", first_row=0, num_documents=num)
    about = {ROW: range(num), "id": range(num), TEXT: [f"a {n}" for n in range(num)]}
    labels = {f"{TARGET}label": [("no", "yes")[n % 2] for n in range(num)]}
    return fold(pa.table({**about, **labels, **columns}), header)


@pytest.fixture
def output(tmp_path: Path) -> Location:
    return locate(str(tmp_path))


def test_the_decision_says_what_is_held_out(output: Location) -> None:
    classes = Ragged(np.arange(20, dtype=np.int32) % 2, np.arange(21))
    split = split_by_id(document_keys(range(20)), classes, 2, share=0.5, seed=0)
    Decision(split=split).put(output)
    table, header = unfold(ExampleMaker(recipe("classification", **FIELDS), output=output)(documents(20)))
    held = table[IS_HELD_OUT].to_numpy(zero_copy_only=False)
    assert np.bincount(table["label"].to_numpy()[held]).tolist() == [5, 5]
    assert table["id"].to_pylist() == list(range(20))
    stats = {name: header.stats[f"instances.{name}"] for name in ("documents", "train", "held_out")}
    assert stats == {"documents": 20, "train": 10, "held_out": 10}
    assert header.stats["num_tokens"] == sum(table["num_tokens"].to_pylist()) == 80
    columns = DocumentColumns(texts=("text",), separator="", id="id", id_name="id", id_type=pa.int64())
    names = part_columns(columns, "classification")
    assert names == ["id", *examples_schema("classification").names]
    assert table.select(names).schema.field("label").type == pa.int32()


def test_what_is_left_out_is_counted_and_what_can_not_be_told_is_dead(output: Location) -> None:
    Decision(twins=document_keys(["a 1"])).put(output)
    fields = {**FIELDS, "eval_share": 0.0}
    labels = pa.array(["no", "yes", None, "maybe"])
    table, header = unfold(
        ExampleMaker(recipe("classification", **fields), output=output)(documents(4, **{f"{TARGET}label": labels}))
    )
    assert table["id"].to_pylist() == [0]
    assert [(letter.row, letter.reason) for letter in header.dead_letters] == [
        (2, "the label is null"),
        (3, "a label is none of the classes"),
    ]
    assert (header.stats["instances.documents"], header.stats["examples.twins"]) == (2, 1)


def test_an_output_without_a_decision_is_no_output(output: Location) -> None:
    with pytest.raises(StoreError, match=r"split\.npz, which decides what is held out, is gone: run again"):
        ExampleMaker(recipe("classification", **FIELDS), output=output)(documents(4))


def test_documents_one_by_one_give_the_same() -> None:
    make = ExampleMaker(recipe("classification", **FIELDS))
    whole, _ = unfold(make(documents(5)))
    table, header = unfold(documents(5))
    alone = [unfold(make(fold(table.slice(n, 1), header)))[0] for n in range(5)]
    assert pa.concat_tables(alone).equals(whole)
