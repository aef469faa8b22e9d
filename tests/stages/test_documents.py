"""From a shard's columns to documents: ids keep their type, text is joined, what is null is a dead letter."""

import pyarrow as pa
import pytest

from pipelines.errors import ShardError
from pipelines.example_spec import ExampleSpec
from pipelines.prepare_spec import PrepareSpec
from pipelines.schema import DeadLetter
from pipelines.spec import EmbedSpec
from pipelines.stages.documents import (
    GROUP,
    TARGET,
    TEXT,
    DocumentColumns,
    check_shard,
    columns_for,
    documents_of,
    joined,
    values_of,
)
from pipelines.stages.slicewise import ROW
from pipelines.store.shards import Shard

SHARD = Shard(name="a/b.parquet", uri="/c/a/b.parquet", size=9, version="1")


def spec(**fields):
    return EmbedSpec(model="m", **fields)


def test_nulls_are_dead_letters_and_the_rest_keeps_its_rows():
    table = pa.table({"id": [1, None, 3, None], "text": ["a", "b", None, None]})
    documents, letters, stats = documents_of(table, 100, SHARD, columns_for(spec(), table.schema))
    assert documents.to_pydict() == {ROW: [100], "id": [1], TEXT: ["a"]}
    assert letters == [
        DeadLetter(row=101, stage="read", reason="the id is null"),
        DeadLetter(row=103, stage="read", reason="the id is null"),
        DeadLetter(row=102, stage="read", reason="the text is null"),
    ]
    assert stats == {"repeated_ids": 0}


@pytest.mark.parametrize(
    "ids",
    [
        pa.array([7, 8], pa.uint8()),
        pa.array(["x", "y"]),
        pa.array(["x", "y"], pa.large_string()),
        pa.array([b"\xff", b"b"]),
        pa.array([b"ab", b"cd"], pa.binary(2)),
    ],
)
def test_ids_keep_their_type(ids):
    table = pa.table({"id": ids, "text": ["a", "b"]})
    documents, _, _ = documents_of(table, 0, SHARD, columns_for(spec(), table.schema))
    assert documents["id"].combine_chunks().equals(ids)


def test_without_an_id_column_ids_tell_path_and_row():
    table = pa.table({"text": ["a", "b"]})
    documents, letters, _ = documents_of(table, 5, SHARD, columns_for(spec(), table.schema))
    assert documents["id"].to_pylist() == ["a/b.parquet:5", "a/b.parquet:6"]
    assert letters == []


def test_repeated_ids_are_counted():
    table = pa.table({"id": [1, 1, 1, 2], "text": ["a"] * 4})
    assert documents_of(table, 0, SHARD, columns_for(spec(), table.schema))[2] == {"repeated_ids": 2}


def test_columns_are_cast_to_the_first_shards_types_or_refused():
    columns = columns_for(spec(), pa.schema({"id": pa.int64(), "text": pa.string()}))
    other = pa.table({"text": ["a"], "id": pa.array([3], pa.int16())})
    assert documents_of(other, 0, SHARD, columns)[0]["id"].type == pa.int64()
    strange = pa.table({"text": ["a"], "id": ["three"]})
    with pytest.raises(ShardError, match="column 'id' is string here and can't become int64"):
        documents_of(strange, 0, SHARD, columns)


def test_several_text_columns_are_joined():
    table = pa.table({"id": [1, 2, 3], "title": ["T", None, None], "body": ["B", "B", None], "text": ["x"] * 3})
    columns = columns_for(spec(text=["title", "body"], separator=" | ", passthrough=["text"]), table.schema)
    documents, letters, _ = documents_of(table, 0, SHARD, columns)
    assert documents.to_pydict() == {ROW: [0, 1], "id": [1, 2], TEXT: ["T | B", "B"], "text": ["x", "x"]}
    assert [letter.row for letter in letters] == [2]


STRINGS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]


@pytest.mark.parametrize("kind", STRINGS)
def test_text_of_every_string_type_is_read(kind):
    table = pa.table({"text": pa.array(["a", None], pa.string()).cast(kind)})
    text = joined(table, ["text"], "")
    assert text.type == pa.large_string()
    assert text.to_pylist() == ["a", None]


@pytest.mark.parametrize(
    ("fields", "schema", "words"),
    [
        ({}, {"id": pa.int64(), "body": pa.string()}, "no column 'text' (its columns: id, body)"),
        ({}, {"text": pa.int64()}, "column 'text' is int64"),
        ({}, {"text": pa.list_(pa.string())}, "text must be string"),
        ({}, {"text": pa.string(), "id": pa.float64()}, "an id must be an integer"),
        ({"id": "key"}, {"text": pa.string()}, "no id column 'key'"),
        ({"passthrough": ["year"]}, {"text": pa.string()}, "no column 'year' to pass through"),
    ],
)
def test_a_schema_that_does_not_fit_is_refused_by_name(fields, schema, words):
    with pytest.raises(ShardError) as caught:
        columns_for(spec(**fields), pa.schema(schema))
    assert words in str(caught.value)


def test_a_later_shard_must_have_the_columns_of_the_first():
    columns = columns_for(spec(), pa.schema({"id": pa.int64(), "text": pa.string()}))
    with pytest.raises(ShardError, match="no column 'id'"):
        check_shard(pa.schema({"text": pa.string()}), columns)


def no_utf8(*values: bytes) -> pa.Array:
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values).buffers())


def test_an_id_that_is_no_utf8_is_a_dead_letter_and_such_a_text_is_left_to_its_tokenizer():
    table = pa.table({"id": no_utf8(b"a", b"\xed\xa0\x80", b"c"), "text": no_utf8(b"x", b"y", b"\xff")})
    documents, letters, _ = documents_of(table, 0, SHARD, columns_for(spec(), table.schema))
    assert letters == [DeadLetter(row=1, stage="read", reason="the id is not valid UTF-8")]
    assert documents["id"].to_pylist() == ["a", "c"]
    assert documents[TEXT].cast(pa.large_binary()).to_pylist() == [b"x", b"\xff"]


def test_a_passed_column_that_is_no_utf8_is_a_dead_letter_that_names_the_column():
    tags = pa.ListArray.from_arrays(pa.array([0, 1, 1, 2, 2], pa.int32()), no_utf8(b"fine", b"secret \xff"))
    table = pa.table(
        {"text": ["a", "b", "c", None], "by": no_utf8(b"x", b"secret \xe9", b"\xff", b"\xff"), "tags": tags}
    )
    columns = columns_for(spec(passthrough=["by", "tags"]), table.schema)
    documents, letters, _ = documents_of(table, 20, SHARD, columns)
    assert documents.drop_columns([ROW, TEXT]).to_pylist() == [{"id": "a/b.parquet:20", "by": "x", "tags": ["fine"]}]
    assert letters == [
        DeadLetter(row=row, stage="read", reason="column 'by' is not valid UTF-8") for row in (21, 22, 23)
    ]
    only_tags = columns_for(spec(passthrough=["tags"]), table.schema)
    assert [(letter.row, letter.reason) for letter in documents_of(table, 20, SHARD, only_tags)[1]] == [
        (22, "column 'tags' is not valid UTF-8"),
        (23, "the text is null"),
    ]


def test_a_passed_column_of_bytes_may_hold_any():
    table = pa.table({"text": ["a"], "raw": pa.array([b"\xff"])})
    documents, letters, _ = documents_of(table, 0, SHARD, columns_for(spec(passthrough=["raw"]), table.schema))
    assert (documents["raw"].to_pylist(), letters) == ([b"\xff"], [])


@pytest.mark.parametrize(
    ("kind", "values", "fits"),
    [
        (pa.int64(), pa.array(["7", None]), True),
        (pa.int64(), pa.array(["007"]), False),  # it would become the id of another document
        (pa.int32(), pa.array([2**31], pa.int64()), False),
        (pa.string(), pa.array([7, 8]), True),
        (pa.int64(), pa.array([2**63], pa.uint64()), False),
        (pa.string(), pa.array([b"\xff"]), False),
        (pa.string(), pa.array(["a"], pa.large_string()), True),
    ],
)
def test_ids_are_cast_without_loss_or_not_at_all(kind, values, fits):
    columns = columns_for(spec(), pa.schema({"id": kind, "text": pa.string()}))
    table = pa.table({"id": values, "text": ["a"] * len(values)})
    if fits:
        assert documents_of(table, 0, SHARD, columns)[0]["id"].type == kind
    else:
        with pytest.raises(
            ShardError, match=f"can't become {kind}, its type in the first shard, without loss"
        ) as found:
            documents_of(table, 0, SHARD, columns)
        assert found.value.__context__ is None  # Arrow's own words hold values


def test_passed_floats_are_cast_without_loss_not_a_number_included():
    columns = columns_for(spec(passthrough=["x"]), pa.schema({"text": pa.string(), "x": pa.float32()}))
    fine = pa.table({"text": ["a"] * 4, "x": [float("nan"), 0.5, None, float("inf")]})
    assert documents_of(fine, 0, SHARD, columns)[0]["x"].type == pa.float32()
    with pytest.raises(ShardError, match="column 'x' is double here"):
        documents_of(pa.table({"text": ["a"], "x": [0.1]}), 0, SHARD, columns)


def test_columns_of_nulls_alone_may_be_untyped_but_give_no_type():
    columns = columns_for(spec(), pa.schema({"id": pa.int64(), "text": pa.string()}))
    untyped = pa.table({"id": pa.nulls(2), "text": pa.nulls(2)})
    check_shard(untyped.schema, columns)
    documents, letters, _ = documents_of(untyped, 0, SHARD, columns)
    assert (documents.num_rows, len(letters)) == (0, 2)
    with pytest.raises(ShardError, match="column 'id' has no type"):
        columns_for(spec(), untyped.schema)


def test_lists_of_sentences_are_read_as_such():
    asked = PrepareSpec(tokenizer="t", sentences="list")
    table = pa.table({"id": [1, 2], "text": pa.array([["a", None], None], pa.list_(pa.string()))})
    columns = columns_for(asked, table.schema)
    assert DocumentColumns.from_facts(columns.facts()) == columns
    documents, letters, _ = documents_of(table, 0, SHARD, columns)
    assert documents[TEXT].type == pa.large_list(pa.large_string())
    assert documents[TEXT].to_pylist() == [["a", None]]
    assert [letter.reason for letter in letters] == ["the text is null"]
    with pytest.raises(ShardError, match="column 'text' is string: text must be a list of strings"):
        columns_for(asked, pa.schema({"id": pa.int64(), "text": pa.string()}))
    with pytest.raises(ShardError, match="text must be string or large_string"):
        columns_for(PrepareSpec(tokenizer="t"), table.schema)


def test_a_group_is_read_beside_the_rest_and_may_not_be_null():
    asked = PrepareSpec(tokenizer="t", group="patient")
    table = pa.table({"id": [1, 2], "text": ["a", "b"], "patient": pa.array(["p", None]).dictionary_encode()})
    columns = columns_for(asked, table.schema)
    assert (columns.wanted, columns.carried) == (["text", "id", "patient"], ["id"])
    assert DocumentColumns.from_facts(columns.facts()) == columns
    documents, letters, _ = documents_of(table, 0, SHARD, columns)
    assert documents[GROUP].to_pylist() == ["p"]
    assert letters == [DeadLetter(row=1, stage="read", reason="the group is null")]
    with pytest.raises(ShardError, match="column 'patient' is double: a group must be an integer"):
        columns_for(asked, table.schema.set(2, pa.field("patient", pa.float64())))
    with pytest.raises(ShardError, match="has no column 'patient'"):
        check_shard(table.schema.remove(2), columns)


def test_values_that_are_no_utf8_are_told_one_by_one():
    odd = pa.Array.from_buffers(pa.large_string(), 2, pa.array([b"a", b"\xe9"], pa.large_binary()).buffers())
    assert values_of(pa.chunked_array([odd])) == ["a", False]
    both = pa.LargeListArray.from_arrays(pa.array([0, 1, 2], pa.int64()), odd)
    assert values_of(pa.chunked_array([both])) == [["a"], False]


def test_targets_are_read_and_not_carried() -> None:
    spec = ExampleSpec(model="m", task="classification", label="label", labels=["a", "b"], max_seqlen=16)
    table = pa.table({"id": [1, 2, 3], "text": ["x", "y", "z"], "label": pa.array(["a", None, "b"])})
    columns = columns_for(spec, table.schema)
    assert DocumentColumns.from_facts(columns.facts()) == columns
    assert (columns.wanted, columns.carried) == (["text", "id", "label"], ["id"])
    documents, letters, _ = documents_of(table, 0, SHARD, columns)
    assert documents[f"{TARGET}label"].to_pylist() == ["a", None, "b"]  # a null is for the task to answer for
    assert letters == []
    with pytest.raises(ShardError, match=r"has no column 'label' \(its columns: id, text\)"):
        columns_for(spec, table.drop_columns(["label"]).schema)
    nulls = table.set_column(2, "label", pa.nulls(3))
    with pytest.raises(ShardError, match=r"column 'label' has no type, since it holds nothing but nulls"):
        columns_for(spec, nulls.schema)
    assert documents_of(nulls, 0, SHARD, columns)[0][f"{TARGET}label"].to_pylist() == [None] * 3
