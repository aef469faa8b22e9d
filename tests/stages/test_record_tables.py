"""Records as columns of one type each: what fits is kept as it is, what does not is a dead letter."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from pipelines.convert_spec import ConvertSpec
from pipelines.errors import ShardError
from pipelines.stages.record_columns import columns_of
from pipelines.stages.record_tables import Tables, text_hash
from pipelines.stages.records import Record


def tables(taken: dict[str, pa.DataType], is_csv: bool = False, **fields: Any) -> Tables:
    columns = columns_of({"x": pa.schema(list(taken.items()))}, ConvertSpec(**fields))
    return Tables(columns=columns, file="a/x.jsonl", is_csv=is_csv)


def rows(found: Tables, *values: dict[str, Any] | str) -> list[dict[str, Any]]:
    records = [
        Record(line, 1, {}, one) if isinstance(one, str) else Record(line, 1, one) for line, one in enumerate(values, 1)
    ]
    return [row for batch in found.of_records(records) for row in batch.to_pylist()]


def letters(found: Tables) -> list[tuple[int, str]]:
    return sorted((letter.line, letter.reason) for letter in found.letters)


def test_ids_are_made_of_file_and_line_or_of_the_text() -> None:
    by_line = tables({"text": pa.string()})
    assert rows(by_line, {"text": "a"}, "it is no JSON", {"text": "a"}) == [
        {"id": "a/x.jsonl:1", "text": "a"},
        {"id": "a/x.jsonl:3", "text": "a"},
    ]
    assert letters(by_line) == [(2, "it is no JSON")]
    by_hash = rows(tables({"text": pa.string()}, ids="hash"), {"text": "a"}, {"text": "b"}, {"text": "a"})
    assert [row["id"] for row in by_hash] == [text_hash("a"), text_hash("b"), text_hash("a")]
    assert text_hash("a") == "ca978112ca1bbdcafac231b39a23dc4d"  # sha256sum of "a"


def test_what_does_not_fit_is_a_dead_letter_by_line() -> None:
    kinds = {
        "id": pa.string(), "text": pa.string(), "n": pa.int64(), "f": pa.float64(), "l": pa.list_(pa.int64()),
        "s": pa.struct([("x", pa.int64())]),
    }  # fmt: skip
    found = tables(kinds)
    good = {"id": "1", "text": "t", "n": 1, "f": 2, "l": [1, None], "s": {"x": 1}}
    wrong = [
        {"n": 1.5}, {"n": "1"}, {"n": True}, {"n": 2**63}, {"f": 2**53 + 1}, {"l": [1.5]}, {"l": 1}, {"s": {"y": 1}},
        {"s": [1]}, {"text": 7}, {"text": "\ud800"}, {"text": None}, {"id": None},
    ]  # fmt: skip
    assert rows(found, good, *({**good, **one} for one in wrong), {"id": "z", "text": ""}) == [
        good,
        {"id": "z", "text": "", "n": None, "f": None, "l": None, "s": None},
    ]
    told = letters(found)
    assert [line for line, _ in told] == list(range(2, 15))
    assert told[0][1] == "column 'n' is a number that is no int64 (--spec.types)"
    assert [reason for _, reason in told[-2:]] == ["it has no text", "it has no id"]
    assert not any("\ud800" in reason for _, reason in told)


def test_columns_that_nobody_knew_are_counted_and_left_out() -> None:
    found = tables({"text": pa.string()})
    assert len(rows(found, {"text": "a", "late": 1}, {"text": "b"}, {"text": "c", "late": 2, "x": None})) == 3
    assert found.left_out == {"late": 2, "x": 1}


def test_a_column_of_texts_takes_anything_as_its_json() -> None:
    found = tables({"text": pa.string(), "n": pa.int64()}, types={"n": "string"})
    told = rows(found, *({"text": "a", "n": value} for value in ("x", 1, [1, "é"], None)))
    assert [row["n"] for row in told] == ["x", "1", '[1, "é"]', None]


def test_fields_of_a_csv_are_parsed_where_a_type_is_given() -> None:
    found = tables({"id": pa.string(), "text": pa.string(), "n": pa.string()}, is_csv=True, types={"n": "int64"})
    told = rows(found, *({"id": "007", "text": "a", "n": value} for value in ("5", "", " 6 ", "7.5", "x")))
    assert [(row["id"], row["n"]) for row in told] == [("007", 5), ("007", None), ("007", 6)]
    assert [line for line, _ in letters(found)] == [4, 5]


def test_batches_of_arrow_are_cast_and_numbered_through() -> None:
    found = tables({"text": pa.string(), "n": pa.int64(), "gone": pa.bool_()})
    one = pa.record_batch({"n": pa.array([1, 2], pa.int8()), "text": pa.array(["a", "b"]).dictionary_encode()})
    odd = pa.array([b"c", b"\xff", None]).view(pa.string())
    two = pa.record_batch({"text": odd, "n": pa.array([3, 4, 5], pa.int8())})
    told = [row for batch in found.of_batches([one, two]) for row in batch.to_pylist()]
    assert [(row["id"], row["text"], row["n"], row["gone"]) for row in told] == [
        ("a/x.jsonl:1", "a", 1, None),
        ("a/x.jsonl:2", "b", 2, None),
        ("a/x.jsonl:3", "c", 3, None),
    ]
    assert letters(found) == [(4, "column 'text' is no UTF-8"), (5, "it has no text")]
    secret = pa.record_batch({"text": ["a"], "n": ["secret"]})
    with pytest.raises(ShardError, match=r"column 'n' is string and holds what is no int64 \(--spec.types\)$"):
        list(found.of_batches([secret]))


def test_batches_are_small() -> None:
    found = tables({"text": pa.string()})
    records = [Record(line, 1, {"text": "a"}) for line in range(2000)]
    records += [Record(line, 2**20, {"text": "b"}) for line in range(2)]
    assert [batch.num_rows for batch in found.of_records(records)] == [1024, 977, 1]
