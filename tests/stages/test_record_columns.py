"""Which columns files have together, what each is called in the output, and what does not go together."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from pipelines.convert_spec import ConvertSpec
from pipelines.errors import SpecError
from pipelines.stages.record_columns import RecordColumns, columns_of, schema_of
from pipelines.stages.records import Record
from tests.saved_dataset import FEATURES

PLAIN = ConvertSpec()


def schema(*rows: dict[str, Any], spec: ConvertSpec = PLAIN) -> pa.Schema:
    return schema_of([Record(line, 1, row) for line, row in enumerate(rows, 5)], "x.jsonl", spec)


def columns(*schemas: pa.Schema, **fields: Any) -> RecordColumns:
    return columns_of({f"{n}.jsonl": one for n, one in enumerate(schemas)}, ConvertSpec(**fields))


def types(found: RecordColumns) -> dict[str, str]:
    return {one.name: str(one.type) for one in found.schema}


def test_types_go_together_where_nothing_is_lost() -> None:
    first = schema({"text": "a", "n": 1, "o": None, "l": []}, {"text": None, "n": 2.5, "m": {"x": 1}})
    second = schema({"n": 3, "text": "b", "l": [1], "m": {"y": {"z": None}}, "late": True})
    found = columns(first, second)
    assert types(found) == {
        "id": "string",
        "text": "string",
        "n": "double",
        "o": "string",
        "l": "list<item: int64>",
        "m": "struct<x: int64, y: struct<z: string>>",
        "late": "bool",
    }
    assert RecordColumns.from_facts(json.loads(json.dumps(found.facts()))) == found


def test_names_are_those_that_the_other_jobs_ask_for() -> None:
    found = columns(schema({"url": "u", "id": 7, "body": "b", "text": "t"}), text="body", id="url")
    assert list(types(found).items()) == [
        ("id", "string"),
        ("text", "string"),
        ("source_id", "int64"),
        ("source_text", "string"),
    ]
    assert (found.ids, found.id, found.text) == ("column", "url", "body")
    made = columns(schema({"id": 7, "text": "t"}), ids="hash")
    assert list(types(made).items()) == [("id", "string"), ("text", "string"), ("source_id", "int64")]
    assert (made.ids, made.id) == ("hash", "")
    kept = columns(schema({"question": "q", "text": 3}), text="")
    assert list(types(kept).items()) == [("id", "string"), ("question", "string"), ("text", "int64")]


def test_given_types_go_before_what_is_found() -> None:
    spec = ConvertSpec(types={"n": "string", "rare": "float64"})
    found = columns_of({"x": schema({"text": "a", "n": 1}, {"text": "b", "n": ["x"]}, spec=spec)}, spec)
    assert types(found) == {"id": "string", "text": "string", "n": "string", "rare": "double"}
    assert found.as_json == {"n"}


def test_an_object_without_fields_is_kept_as_its_json() -> None:
    found = columns(schema({"text": "a", "m": {"x": {}}}))
    assert (types(found)["m"], found.as_json) == ("string", {"m"})


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            ({"n": 1}, {"n": None}, {"n": "x"}),
            r"x.jsonl, line 7: column 'n' has a string where a whole number was before; .*types",
        ),
        (({"n": True}, {"n": 1}), r"line 6: column 'n' has a whole number where true or false"),
        (
            ({"n": {"a": 1}}, {"n": {"a": 2}}, {"n": {"a": "s"}}),
            r"line 7: column 'n' has an object that goes with none before",
        ),
        (({"n": [1]}, {"n": 2}), r"""line 6: .*: --spec.types '\{"n": "string"\}'"""),
        (({"n": 2**70},), "column 'n' has a whole number beyond 64 bits"),
    ],
)
def test_mixed_types_are_refused_with_their_line(rows: tuple[dict[str, Any], ...], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        schema(*rows)


@pytest.mark.parametrize(
    ("rows", "fields", "words"),
    [
        (
            ({"text": "a", "n": 1}, {"text": "a", "n": "x"}),
            {},
            "1.jsonl: column .n. is string, in files before",
        ),
        (({"body": "a"},), {}, r"0.jsonl has no column 'text' \(its columns: body\): name the texts' by --spec.text"),
        (({"id": 1, "text": "a"}, {"text": "b"}), {}, "1.jsonl has no column 'id' .* --spec.ids line makes ids"),
        (({"text": "a"},), {"ids": "column"}, "0.jsonl has no column 'id'"),
        (({"text": "a"},), {"id": "url"}, "0.jsonl has no column 'url' .* name the ids' by --spec.id"),
        (({"text": "a", "id": 1, "source_id": 2},), {"ids": "line"}, "two columns would be called 'source_id'"),
        (({"text": 3},), {}, "column 'text' is int64, which texts are not"),
        (({"text": "a", "id": 1.5},), {}, "column 'id' is double, which ids are not"),
    ],
)
def test_what_does_not_go_together_is_refused(
    rows: tuple[dict[str, Any], ...], fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(SpecError, match=words):
        columns(*(schema(row) for row in rows), **fields)


def test_names_of_classes_come_along() -> None:
    note = {"huggingface": json.dumps({"info": {"features": FEATURES}})}
    one = pa.schema([("text", pa.string()), ("label", pa.int64())], note)
    told = json.loads(columns(one, one).notes[b"huggingface"])["info"]["features"]
    assert told == {"id": {"dtype": "string", "_type": "Value"}, **FEATURES}
    assert columns(one, one.remove_metadata()).notes == {}
