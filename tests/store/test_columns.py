"""Bytes of rows are a function of the values; types are made plain, and odd text is found, at any depth."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.store.columns import no_utf8, plain, plain_schema, plain_type, row_bytes

TEXT = ["a", None, "", "été", "😀"]
LISTS = [[1, 2], None, [], [None], [3]]
MAPS = [[("k", 1)], None, [], [("kk", None)], [("k", 2), ("l", 3)]]
STRUCTS = [{"s": "ab", "n": 1}, None, {"s": None, "n": 2}, {"s": "", "n": None}, {"s": "c", "n": 3}]
PAIRS = pa.struct([("s", pa.string()), ("n", pa.int16())])


def batch(values: list[object], kind: pa.DataType) -> pa.RecordBatch:
    return pa.record_batch([pa.array(values, kind)], ["c"])


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (TEXT, pa.string(), [1, 0, 0, 5, 4]),
        (TEXT, pa.large_string(), [1, 0, 0, 5, 4]),
        ([b"ab", None], pa.binary(), [2, 0]),
        ([1, None], pa.int32(), [4, 4]),
        ([True, None], pa.bool_(), [1, 1]),
        ([b"abc", None], pa.binary(3), [3, 3]),
        ([None, None], pa.null(), [0, 0]),
        ([1.5, 2.5], pa.float16(), [2, 2]),
        ([1, 2], pa.decimal128(10, 2), [16, 16]),
        ([1, 2], pa.timestamp("us"), [8, 8]),
        (LISTS, pa.list_(pa.int64()), [16, 0, 0, 8, 8]),
        (LISTS, pa.large_list(pa.int64()), [16, 0, 0, 8, 8]),
        ([[1, 2], None], pa.list_(pa.int8(), 2), [2, 0]),
        ([["a", "bc"], ["", None]], pa.list_(pa.string(), 2), [3, 0]),
        (MAPS, pa.map_(pa.string(), pa.int64()), [9, 0, 0, 10, 18]),
        (STRUCTS, PAIRS, [4, 0, 2, 2, 3]),
        ([[{"s": "ab", "n": 1}], [], None], pa.list_(PAIRS), [4, 0, 0]),
        ([[["ab"], []], None, [["c"], ["def"]]], pa.list_(pa.list_(pa.string())), [2, 0, 4]),
    ],
)
def test_bytes_of_each_row(values: list[object], kind: pa.DataType, expected: list[int]) -> None:
    assert row_bytes(batch(values, kind)).tolist() == expected


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (TEXT, pa.string()),
        (LISTS, pa.list_(pa.int64())),
        (MAPS, pa.map_(pa.string(), pa.int64())),
        (STRUCTS, PAIRS),
        ([[1, 2], None, [3, 4], [5, 6], None], pa.list_(pa.int8(), 2)),
    ],
)
def test_a_row_has_the_same_bytes_in_any_batch(values: list[object], kind: pa.DataType) -> None:
    whole = batch(values, kind)
    alone = [row_bytes(batch([value], kind)).item() for value in values]
    sliced = [row_bytes(whole.slice(i, 1)).item() for i in range(len(values))]
    assert row_bytes(whole).tolist() == alone == sliced


def test_what_a_null_hides_does_not_count() -> None:
    hidden = pa.ListArray.from_arrays(pa.array([0, 3, 4]), pa.array([1, 2, 3, 4]), mask=pa.array([True, False]))
    assert row_bytes(pa.record_batch([hidden], ["c"])).tolist() == [0, 8]


def odd(*texts: bytes | None) -> pa.Array:
    """Strings that nobody checked."""
    return pa.Array.from_buffers(pa.string(), len(texts), pa.array(texts, pa.binary()).buffers())


TEXTS = odd(b"a", b"\xff", None, b"\xed\xa0\x80", "é".encode(), b"latin-1 caf\xe9")
OFFSETS = pa.array([0, 2, 2, 3, 5, 6], pa.int32())  # [a \xff] [] [null] [\xed.. é] [latin-1]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (TEXTS, [0, 1, 0, 1, 0, 1]),
        (TEXTS.cast(pa.large_string()), [0, 1, 0, 1, 0, 1]),
        (TEXTS.slice(1, 2), [1, 0]),
        (pa.chunked_array([TEXTS.slice(0, 1), TEXTS.slice(3)]), [0, 1, 0, 1]),
        (pa.chunked_array([], pa.string()), []),
        (pa.array([b"\xff"], pa.binary()), [0]),
        (pa.array([1, None]), [0, 0]),
        (pa.nulls(2), [0, 0]),
        (pa.ListArray.from_arrays(OFFSETS, TEXTS), [1, 0, 0, 1, 1]),
        (pa.ListArray.from_arrays(OFFSETS, TEXTS).slice(1, 3), [0, 0, 1]),
        (pa.LargeListArray.from_arrays(pa.array([0, 1, 3]), TEXTS), [0, 1]),
        (pa.FixedSizeListArray.from_arrays(TEXTS, 2), [1, 1, 1]),
        (pa.MapArray.from_arrays(OFFSETS, pa.array(["k"] * 6), TEXTS).slice(2), [0, 1, 1]),
        (pa.StructArray.from_arrays([pa.array(range(6)), TEXTS], ["n", "s"]).slice(2), [0, 1, 0, 1]),
        (pa.array([[[1]], []], pa.list_(pa.list_(pa.float32()))), [0, 0]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_values_that_hold_text_which_is_no_utf8(column: pa.Array | pa.ChunkedArray, expected: list[int]) -> None:
    assert no_utf8(column).tolist() == [bool(is_odd) for is_odd in expected]


def test_columns_add_up() -> None:
    both = pa.record_batch([pa.array(["ab", "c"]), pa.array([1, 2], pa.int64())], ["text", "id"])
    assert row_bytes(both).tolist() == [10, 9]


def test_no_columns() -> None:
    assert row_bytes(pa.record_batch([], pa.schema([]))).tolist() == []


CODED = pa.dictionary(pa.int8(), pa.string())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (CODED, pa.string()),
        (pa.string_view(), pa.large_string()),
        (pa.binary_view(), pa.large_binary()),
        (pa.list_(CODED), pa.list_(pa.string())),
        (pa.struct([("a", CODED), ("b", pa.int8())]), pa.struct([("a", pa.string()), ("b", pa.int8())])),
        (pa.map_(pa.string(), CODED), pa.map_(pa.string(), pa.string())),
        (pa.list_(pa.float32(), 3), pa.list_(pa.float32(), 3)),
        (pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC")),
    ],
)
def test_plain_types(kind: pa.DataType, expected: pa.DataType) -> None:
    assert plain_type(kind) == expected


@pytest.mark.parametrize("kind", [CODED, pa.string_view(), pa.list_(CODED), pa.struct([("a", CODED)])])
def test_plain_keeps_the_values(kind: pa.DataType) -> None:
    value: object = "ä"
    if pa.types.is_list(kind):
        value = ["ä", None]
    if pa.types.is_struct(kind):
        value = {"a": "ä"}
    made = plain(batch([value, None], kind))
    assert made.schema.field("c").type == plain_type(kind)
    assert made.column(0).to_pylist() == [value, None]


def test_plain_schema_drops_notes_and_keeps_what_may_be_null() -> None:
    schema = pa.schema([pa.field("a", pa.int8(), nullable=False, metadata={"k": "v"})], metadata={"pandas": "{}"})
    assert plain_schema(schema) == pa.schema([pa.field("a", pa.int8(), nullable=False)])
    assert plain_schema(schema).metadata is None
