"""Folding and unfolding: the same rows, the same buffers, whatever the columns."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.schema import (
    HEADER,
    DeadLetter,
    SliceHeader,
    codes_to_arrow,
    codes_to_numpy,
    flat,
    fold,
    is_folded,
    ragged,
    unfold,
    vectors_to_arrow,
    vectors_to_numpy,
)


def header(**changes):
    values = {"shard": "a/b.parquet", "shard_id": "0123", "first_row": 8, "num_documents": 3} | changes
    return SliceHeader(**values)


CELLS = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.large_string(): st.text(max_size=5),
    pa.binary(): st.binary(max_size=5),
    pa.list_(pa.int32()): st.lists(st.integers(-5, 5), max_size=3),
    pa.struct([("x", pa.float64())]): st.fixed_dictionaries({"x": st.floats(allow_nan=False)}),
}


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 6))
    kinds = draw(st.lists(st.sampled_from(list(CELLS)), min_size=1, max_size=4))
    columns = {
        f"c{i}": pa.array(draw(st.lists(st.none() | CELLS[kind], min_size=rows, max_size=rows)), kind)
        for i, kind in enumerate(kinds)
    }
    table = pa.table(columns)
    first = draw(st.integers(0, rows))
    return table.slice(first, draw(st.integers(0, rows - first)))


@given(tables())
def test_unfold_gives_back_what_fold_took(table):
    folded = fold(table, header())
    assert folded.num_rows == 1
    assert is_folded(folded)
    assert not is_folded(table)
    again, told = unfold(folded)
    assert again.equals(table)
    assert told == header()


@given(tables(), tables())
def test_slices_put_into_one_table_come_apart_again(one, other):
    """Ray may concatenate blocks of one schema; each row is still its own slice."""
    if one.schema != other.schema:
        return
    both = pa.concat_tables([fold(one, header()), fold(other, header(first_row=9))])
    assert unfold(both.slice(0, 1))[0].equals(one)
    assert unfold(both.slice(1, 1))[0].equals(other)
    assert unfold(both.slice(1, 1))[1].first_row == 9


def test_fold_copies_nothing():
    column = pa.array(np.arange(1000))
    folded = fold(pa.table({"n": column}), header())
    assert folded["n"].chunk(0).values.buffers()[1].address == column.buffers()[1].address


def test_unfold_refuses_more_than_one_slice():
    folded = fold(pa.table({"n": [1]}), header())
    with pytest.raises(ValueError, match="this table has 2"):
        unfold(pa.concat_tables([folded, folded]))


def test_header_keeps_accounts():
    letter = DeadLetter(row=9, stage="read", reason="the text is null")
    told = header().add([letter], {"num_tokens": 5}, {"precision": "float32"}).add(stats={"num_tokens": 2, "x": 1})
    assert told.dead_letters == (letter,)
    assert told.stats == {"num_tokens": 7.0, "x": 1.0}
    assert told.facts == {"precision": "float32"}
    assert told.name == "0123/8-3"
    assert unfold(fold(pa.table({}), told))[1] == told
    assert HEADER in fold(pa.table({}), told).column_names


def test_ragged_and_flat_by_hand():
    column = ragged(np.array([5, 6, 7], np.int32), np.array([0, 2, 2, 3]))
    assert column.to_pylist() == [[5, 6], [], [7]]
    values, offsets = flat(pa.chunked_array([column.slice(1)]))
    assert values.tolist() == [7]
    assert offsets.tolist() == [0, 0, 1]


def test_vectors_come_back_and_are_plain_arrow():
    vectors = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)
    column = vectors_to_arrow(vectors, pa.float16())
    assert column.type == pa.list_(pa.float16(), 2)
    assert vectors_to_numpy(column.slice(1)).tolist() == [[3.0, 4.0], [5.0, 6.0]]
    assert vectors_to_numpy(vectors_to_arrow(np.zeros((0, 2), np.float32), pa.float32())).shape == (0, 2)


def test_codes_come_back_and_are_plain_arrow():
    codes = np.array([[1, -1], [127, -128], [0, 5]], np.int8)
    column = codes_to_arrow(codes)
    assert column.type == pa.binary(2)
    assert column.to_pylist() == [b"\x01\xff", b"\x7f\x80", b"\x00\x05"]
    assert codes_to_numpy(column.slice(1)).tolist() == [[127, -128], [0, 5]]
    assert codes_to_numpy(pa.chunked_array([column, column.slice(2)]), np.uint8)[2:].tolist() == [[0, 5], [0, 5]]
    assert codes_to_numpy(codes_to_arrow(np.zeros((0, 2), np.int8))).shape == (0, 2)
    header = SliceHeader(shard="a", shard_id="b", first_row=0, num_documents=3)
    back, _ = unfold(fold(pa.table({"embedding": column}), header))
    assert codes_to_numpy(back["embedding"]).tolist() == codes.tolist()
