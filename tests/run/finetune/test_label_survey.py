"""A look at labelled data: every row is seen once, whatever shard it is in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import SpecError
from pipelines.example_spec import ExampleSpec
from pipelines.finetune_spec import FinetuneSpec
from pipelines.run.finetune.label_survey import LabelSurvey, survey_labels
from pipelines.run.order import Order
from pipelines.text.document_keys import document_keys
from tests.labelled import write_rows


def look(folder: Path, task: str = "classification", limit: int = 0, **fields: Any) -> LabelSurvey:
    spec = FinetuneSpec(model="m", task=task, **fields)  # type: ignore[arg-type]
    order = Order(job="finetune", documents=str(folder), output="/nowhere", limit=limit)
    return survey_labels(order, spec, ExampleSpec.of(spec, spec.labels, is_split=True))


def labels(found: LabelSurvey) -> list[list[str]]:
    return [[found.names[code] for code in found.classes[row].tolist()] for row in range(len(found))]


def test_classes_of_all_shards_are_sorted(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.parquet", [{"id": 1, "text": "x", "label": 10}, {"id": 2, "text": "y", "label": 9}])
    bad = [{"id": 4, "text": None, "label": 9}, {"id": 5, "text": "v", "label": None}]
    write_rows(tmp_path / "b.parquet", [{"id": 3, "text": "x", "label": 2}, *bad])
    found = look(tmp_path)
    assert (found.names, labels(found)) == (["2", "9", "10"], [["10"], ["9"], ["2"]])
    assert found.ids.tolist() == document_keys([1, 2, 3]).tolist()
    assert found.digests[0] == found.digests[2] != found.digests[1]
    assert (found.shard.tolist(), found.rows.tolist()) == ([0, 0, 1], [0, 1, 0])
    assert found.faults == {"the text is null": 1, "the label is null": 1}
    assert found.counts(np.array([True, False, True])).tolist() == [1, 0, 1]
    assert found.names_of([2, 0]) == ["3", "1"]


def test_a_dictionary_is_what_it_stands_for(tmp_path: Path) -> None:
    column = pa.array(["yes", "no", None, "yes"]).dictionary_encode()
    pq.write_table(pa.table({"text": ["a", "b", "c", "d"], "label": column}), tmp_path / "a.parquet")
    found = look(tmp_path)
    assert (found.names, labels(found)) == (["no", "yes"], [["yes"], ["no"], ["yes"]])
    assert found.ids.tolist() == document_keys(["a.parquet:0", "a.parquet:1", "a.parquet:3"]).tolist()


def test_numbers_are_named_as_the_footer_does(tmp_path: Path) -> None:
    note = {"info": {"features": {"label": {"names": ["neg", "pos", "none"], "_type": "ClassLabel"}}}}
    table = pa.table({"id": [1, 2, 3], "text": ["x", "y", "z"], "label": [1, 0, -1]})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(note)}), tmp_path / "a.parquet")
    found = look(tmp_path)
    assert (found.names, labels(found)) == (["neg", "pos", "none"], [["pos"], ["neg"]])
    assert found.faults == {"a label is none of the classes": 1}
    assert labels(look(tmp_path, labels=["no", "yes"])) == [["yes"], ["no"]]


def test_groups_and_lists(tmp_path: Path) -> None:
    rows = [{"id": n, "text": ["w"] * n, "tags": ["O"] * n, "who": n // 2} for n in range(1, 5)]
    write_rows(tmp_path / "a.parquet", rows)
    found = look(tmp_path, "token_classification", group="who")
    assert found.groups is not None
    assert found.groups.tolist() == document_keys([0, 1, 1, 2]).tolist()
    assert found.classes.lengths.tolist() == [1, 2, 3, 4]


def test_numbers_have_no_classes(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.parquet", [{"id": n, "text": "x", "label": 0.5 * n} for n in range(5)])
    found = look(tmp_path, "regression", limit=3)
    assert (len(found), found.names, found.classes.lengths.tolist()) == (3, [], [0, 0, 0])


def test_a_shard_that_breaks_or_differs_is_left_to_the_run(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.parquet", [{"id": 1, "text": "x", "label": "a"}, {"id": 2, "text": "y", "label": "b"}])
    write_rows(tmp_path / "b.parquet", [{"id": 3, "text": "x", "label": ["a"]}])
    (tmp_path / "c.parquet").write_bytes(b"no parquet")
    assert labels(look(tmp_path)) == [["a"], ["b"]]


def test_what_is_not_there(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.parquet", [{"id": 1, "text": "x", "label": "a"}])
    with pytest.raises(SpecError, match=r"label is 'y': a\.parquet of --documents has no column 'y' \(its columns: id"):
        look(tmp_path, label="y")
    with pytest.raises(SpecError, match="there is no Parquet file"):
        look(tmp_path / "none.d" if (tmp_path / "none.d").mkdir() is None else tmp_path)
