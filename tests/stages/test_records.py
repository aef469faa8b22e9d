"""What each line, row or paragraph holds, and what is said of one that holds nothing."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import pytest

from pipelines.convert_spec import ConvertSpec
from pipelines.errors import ShardError
from pipelines.stages.records import NO_UTF8, TOO_LONG, records

Told = list[tuple[int, dict[str, Any] | str]]


def told(data: bytes, kind: str = ".jsonl", **fields: Any) -> Told:
    reader = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]
    found = records(reader, kind, f"x{kind}", ConvertSpec(**fields))
    return [(record.line, record.reason or record.values) for record in found]


def test_lines_of_json_are_told_apart_from_what_is_none() -> None:
    data = b'\xef\xbb\xbf{"a": 1}\r\n\n{"a": [1, {"b": null}]}\n{"a":\n[1]\nnull\n'
    data += b'{"a": "\xff"}\n{"a": 2} {"a": 3}\n{"a": "\xc3\xa9"}'
    assert told(data) == [
        (1, {"a": 1}),
        (3, {"a": [1, {"b": None}]}),
        (4, "it is no JSON: Expecting value"),
        (5, "it is JSON, but no object"),
        (6, "it is JSON, but no object"),
        (7, NO_UTF8),
        (8, "it is no JSON: Extra data"),
        (9, {"a": "é"}),
    ]
    assert told(b"") == told(b"\n\n") == []


def test_json_beyond_measure_crashes_nothing() -> None:
    deep, long = b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"
    assert [line for line, _ in told(b"{}\n" + deep + b"\n" + long + b"\n{}")] == [1, 2, 3, 4]
    assert {reason for _, reason in told(b"{}\n" + deep + b"\n" + long)[1:]} == {"it is JSON beyond all measure"}


def test_an_array_is_refused_with_what_makes_lines_of_it() -> None:
    with pytest.raises(ShardError, match=r"x.jsonl is one JSON array: write an object a line, as jq -c '\.\[\]' does"):
        told(b'[\n{"a": 1}]')


def test_no_line_is_in_memory_that_is_too_long() -> None:
    data = b"x" * 10 + b"\n" + b"y" * 11 + b"\n" + b"z" * 50_000_000 + b"\nend"
    assert told(data, ".txt", max_document_bytes=10) == [
        (1, {"text": "x" * 10}),
        (2, TOO_LONG),
        (3, TOO_LONG),
        (4, {"text": "end"}),
    ]
    reader = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        assert len(list(records(reader, ".txt", "x.txt", ConvertSpec(max_document_bytes=10)))) == 4
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_texts_by_line_paragraph_and_file() -> None:
    data = b"one\r\ntwo\n\n \n\nthree\n\n\xff\n"
    assert told(data, ".txt") == [(1, {"text": "one"}), (2, {"text": "two"}), (6, {"text": "three"}), (8, NO_UTF8)]
    assert told(data, ".txt", documents="paragraphs") == [
        (1, {"text": "one\ntwo"}),
        (6, {"text": "three"}),
        (8, NO_UTF8),
    ]
    assert told(b"one\n\ntwo\n", ".txt", documents="files") == [(1, {"text": "one\n\ntwo\n"})]
    assert told(b"one\n\ntwo\n", ".txt", documents="files", max_document_bytes=8) == [(1, TOO_LONG)]
    assert told(b"one\ntwo\nsix\n\nend", ".txt", documents="paragraphs", max_document_bytes=10) == [
        (1, TOO_LONG),
        (5, {"text": "end"}),
    ]
    assert told(b"one", ".txt", text="body") == [(1, {"body": "one"})]


def test_rows_of_csv_with_what_may_stand_in_quotes() -> None:
    data = b'id,text,\r\n1,"a, ""b""\r\nc",x\r\n\r\n2,d\r\n3,e,f,g\r\n4,\xff,h\r\n5,"i"j,k\r\n007,l,m'
    assert told(data, ".csv") == [
        (2, {"id": "1", "text": 'a, "b"\r\nc', "column_3": "x"}),
        (5, "it has 2 columns, the header 3"),
        (6, "it has 4 columns, the header 3"),
        (7, NO_UTF8),
        (8, "it is no CSV: ',' expected after '\"'"),
        (9, {"id": "007", "text": "l", "column_3": "m"}),
    ]
    assert told(b"\nid\ttext\n1\ta,b\n", ".tsv") == [(3, {"id": "1", "text": "a,b"})]
    assert told(b"id;text\n1;a\n", ".csv", delimiter=";") == [(2, {"id": "1", "text": "a"})]
    assert told(b"", ".csv") == told(b"id,text\n", ".csv") == told(b"id,text", ".csv") == []


def test_a_quote_that_is_never_closed_is_one_dead_letter() -> None:
    assert told(b'id,text\n1,"a\n2,b\n3,c\n', ".csv") == [(2, "it is no CSV: unexpected end of data")]


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"a,b,a\n1,2,3\n", "x.csv names column 'a' twice"), (b"a,\xff\n1,2\n", "no header that can be read")],
)
def test_a_csv_without_a_header_that_tells_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ShardError, match=words):
        told(data, ".csv")
