"""Columns as shards have them, made plain; how many bytes each row of them holds, and which hold odd text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Count = Callable[[pa.Array], np.ndarray]
"""From an array of plain values to a number for each, int64[n]."""


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type without dictionaries, views and run-ends, at any depth: other readers know what is left."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(kind.field(i)) for i in range(kind.num_fields)])
    if pa.types.is_map(kind):
        return pa.map_(_plain_field(kind.key_field), _plain_field(kind.item_field), kind.keys_sorted)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    if pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind):
        return pa.large_list(_plain_field(kind.value_field))
    if pa.types.is_list(kind) or pa.types.is_list_view(kind):
        return pa.list_(_plain_field(kind.value_field))
    return kind


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with plain types, and without what was noted beside them."""
    return pa.schema([_plain_field(field) for field in schema])


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with plain types."""
    schema = plain_schema(batch.schema)
    if schema.types == batch.schema.types:
        return batch
    return pa.record_batch([batch.column(i).cast(kind) for i, kind in enumerate(schema.types)], schema=schema)


def row_bytes(batch: pa.RecordBatch) -> np.ndarray:
    """Bytes of the values of each row, int64[n]: a function of the values alone, not of how they are laid out.

    Text and binary count their bytes, numbers their width, booleans one, lists and structs what they hold, nulls of
    varying length nothing.
    """
    sizes = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        sizes += _sums(column, _bytes_of)
    return sizes


def no_utf8(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Which values hold text that is no UTF-8, at any depth, bool[n]: other readers refuse a whole file for one."""
    if not _holds_text(column.type):
        return np.zeros(len(column), bool)
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return np.concatenate([np.zeros(0, bool), *(_sums(chunk, _odd_texts) > 0 for chunk in chunks)])


def is_text(kind: pa.DataType) -> bool:
    """Whether values of the type are strings, of whichever length and layout."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _plain_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, plain_type(field.type), field.nullable)


def _holds_text(kind: pa.DataType) -> bool:
    return is_text(kind) or any(_holds_text(kind.field(i).type) for i in range(kind.num_fields))


def _sums(array: pa.Array, count: Count) -> np.ndarray:
    """For each value the sum of what ``count`` says of the plain values that it is made of, int64[n]."""
    kind = array.type
    if pa.types.is_struct(kind):
        children = (_sums(child, count) for child in array.flatten())
        return _mask(array, sum(children, np.zeros(len(array), np.int64)))
    if pa.types.is_fixed_size_list(kind):
        return _mask(array, _sums_of_fixed_lists(array, count))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        return _mask(array, _sums_of_lists(array, count))
    return count(array)


def _bytes_of(array: pa.Array) -> np.ndarray:
    kind = array.type
    if pa.types.is_null(kind):
        return np.zeros(len(array), np.int64)
    if pa.types.is_boolean(kind):
        return np.ones(len(array), np.int64)
    if pa.types.is_fixed_size_binary(kind) or pa.types.is_primitive(kind) or pa.types.is_decimal(kind):
        return np.full(len(array), kind.bit_width // 8, np.int64)
    return pc.fill_null(pc.binary_length(array).cast(pa.int64()), 0).to_numpy(zero_copy_only=False)


def _odd_texts(array: pa.Array) -> np.ndarray:
    if not is_text(array.type) or _is_utf8(array):
        return np.zeros(len(array), np.int64)
    return np.array([not _is_utf8(array.slice(place, 1)) for place in range(len(array))], np.int64)


def _is_utf8(strings: pa.Array) -> bool:
    try:
        strings.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _mask(array: pa.Array, sums: np.ndarray) -> np.ndarray:
    return np.where(array.is_valid().to_numpy(zero_copy_only=False), sums, 0) if array.null_count else sums


def _sums_of_lists(array: pa.Array, count: Count) -> np.ndarray:
    offsets = array.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    children = _sums_of_children(array, count)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(children)])
    return before[offsets[1:]] - before[offsets[:-1]]


def _sums_of_children(array: pa.Array, count: Count) -> np.ndarray:
    """Sums of each child value of a list or map, also of those that the offsets pass over."""
    if pa.types.is_map(array.type):
        return _sums(array.keys, count) + _sums(array.items, count)
    return _sums(array.values, count)


def _sums_of_fixed_lists(array: pa.Array, count: Count) -> np.ndarray:
    size = array.type.list_size
    values = array.values.slice(array.offset * size, len(array) * size)
    return _sums(values, count).reshape(len(array), size).sum(axis=1) if size else np.zeros(len(array), np.int64)
