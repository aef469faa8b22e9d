"""What is wrong with labels, told by the column, the value and the remedy."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import SpecError
from pipelines.finetune_spec import FinetuneSpec
from pipelines.run.finetune.label_checks import (
    check_classes,
    check_columns,
    check_label_type,
    check_rows,
    check_shards,
    some,
    told,
)

ANSWERS = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])


def spec(task: str = "classification", **fields: Any) -> FinetuneSpec:
    more = {"text_pair": "context"} if task in ("question_answering", "embedding") else {}
    return FinetuneSpec(model="m", task=task, **{**more, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("classification", pa.string()),
        ("classification", pa.int8()),
        ("classification", pa.bool_()),
        ("multi_label", pa.list_(pa.string())),
        ("token_classification", pa.large_list(pa.int64())),
        ("regression", pa.float32()),
        ("regression", pa.int64()),
        ("question_answering", ANSWERS),
        ("classification", pa.null()),
    ],
)
def test_types_that_fit(task: str, kind: pa.DataType) -> None:
    check_label_type(spec(task), kind)


@pytest.mark.parametrize(
    ("task", "kind", "message"),
    [
        ("classification", pa.float64(), "double, .*; write --spec.task regression for numbers, or cast classes"),
        ("classification", pa.list_(pa.string()), "; write --spec.task multi_label, where a text may have several"),
        ("multi_label", pa.string(), "string, .*; write --spec.task classification, where a text has one"),
        ("regression", pa.string(), "string, .*; write --spec.task classification for classes, or cast numbers"),
        ("token_classification", pa.list_(pa.float32()), "tags are lists of strings or integers, one tag a word"),
        ("question_answering", pa.string(), 'answers are {"text": '),
        ("classification", pa.timestamp("s"), "a label is a string, an integer or a boolean"),
    ],
)
def test_types_of_other_tasks(task: str, kind: pa.DataType, message: str) -> None:
    with pytest.raises(SpecError, match=rf"FinetuneSpec\.label is .*: the column is .*{message}"):
        check_label_type(spec(task), kind)


def test_columns_that_are_not_there() -> None:
    schema = pa.schema([("id", pa.int64()), ("text", pa.string()), ("label", pa.string())])
    check_columns(spec(), schema, "a.parquet")
    for fields, message in [
        ({"text": "body"}, r"text is 'body': a\.parquet has no column 'body' \(its columns: id, text, label\)"),
        ({"label": "class"}, r"label is 'class': a\.parquet has no column 'class'"),
        ({"group": "patient"}, r"group is 'patient': a\.parquet has no column 'patient'"),
        ({"group": "label"}, "group is 'label': the labels are no groups"),
        ({"text_pair": ["text2"]}, r"text_pair is \['text2'\]: a\.parquet has no column 'text2'"),
    ]:
        with pytest.raises(SpecError, match=message):
            check_columns(spec(**fields), schema, "a.parquet")
    twice = pa.schema([*schema, ("label", pa.string())])
    with pytest.raises(SpecError, match=r"label is 'label': a\.parquet has several columns 'label'"):
        check_columns(spec(), twice, "a.parquet")
    wrong = pa.schema([("text", pa.string()), ("context", pa.string()), ("no", pa.int64())])
    with pytest.raises(SpecError, match=r"negatives is .*: column 'no' is int64, and a negative is a string"):
        check_columns(spec("embedding", negatives=["no"]), wrong, "a.parquet")


def test_the_first_shard_with_all_columns_tells_their_types() -> None:
    bare = ("a.parquet", pa.schema([("text", pa.string())]))
    whole = ("b.parquet", pa.schema([("text", pa.string()), ("label", pa.int64())]))
    check_shards(spec(), [bare, whole])
    with pytest.raises(SpecError, match=r"label is 'label': a\.parquet has no column 'label'"):
        check_shards(spec(), [bare])
    check_shards(spec(group="who"), [whole], with_group=False)
    with pytest.raises(SpecError, match=r"id is 'key': b\.parquet has no column 'key'"):
        check_shards(spec(id="key"), [whole])
    with pytest.raises(SpecError, match="text is 'text': column 'text' is string, and words are lists of strings"):
        check_shards(spec("token_classification", label="label"), [whole])
    check_shards(spec(), [])


def test_classes_that_can_not_be_learnt() -> None:
    check_classes(spec(), ["a", "b"], np.array([3, 1]), 4)
    with pytest.raises(SpecError, match="label is 'label': all 3 rows are of one class, 'a'"):
        check_classes(spec(), ["a"], np.array([3]), 3)
    with pytest.raises(SpecError, match="label is 'label': none of 3 rows has a class"):
        check_classes(spec("multi_label"), [], np.zeros(0, np.int64), 3)
    with pytest.raises(SpecError, match="there is one class, 'a': write true and false, and"):
        check_classes(spec("multi_label"), ["a"], np.array([2]), 3)
    with pytest.raises(SpecError, match=r"labels is \['a', 'b'\]: there is no example of 'b'"):
        check_classes(spec(labels=["a", "b"]), ["a", "b"], np.array([3, 0]), 3)
    names = [str(n) for n in range(60)]
    with pytest.raises(SpecError, match="it has 60 different values in 100 rows, too many for classes"):
        check_classes(spec(), names, np.ones(60, np.int64), 100)


def test_rows_that_can_not_be_used() -> None:
    check_rows(1, Counter(), "the data")
    faults = Counter({"the text is null": 2, "the label is null": 1000})
    with pytest.raises(SpecError, match=r"no row of the data can be used: the label is null \(1,000\), the text is"):
        check_rows(0, faults, "the data")
    with pytest.raises(SpecError, match="there are none; check the columns"):
        check_rows(0, Counter(), "the data")
    assert told(Counter({"b": 1, "a": 1})) == "a (1), b (1)"
    assert some(["a", "b", "c", "d", "e", "f"]) == "'a', 'b', 'c', 'd', 'e' and 1 more"
