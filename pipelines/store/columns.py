"""Columns as shards have them, made plain, and how many bytes each row of them holds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


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
        sizes += _value_bytes(column)
    return sizes


def _plain_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, plain_type(field.type), field.nullable)


def _value_bytes(array: pa.Array) -> np.ndarray:
    kind = array.type
    if pa.types.is_struct(kind):
        return _mask(array, sum((_value_bytes(child) for child in array.flatten()), np.zeros(len(array), np.int64)))
    if pa.types.is_fixed_size_list(kind):
        return _mask(array, _fixed_list_bytes(array))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        return _mask(array, _list_bytes(array))
    if pa.types.is_null(kind):
        return np.zeros(len(array), np.int64)
    if pa.types.is_boolean(kind):
        return np.ones(len(array), np.int64)
    if pa.types.is_fixed_size_binary(kind) or pa.types.is_primitive(kind) or pa.types.is_decimal(kind):
        return np.full(len(array), kind.bit_width // 8, np.int64)
    return pc.fill_null(pc.binary_length(array).cast(pa.int64()), 0).to_numpy(zero_copy_only=False)


def _mask(array: pa.Array, sizes: np.ndarray) -> np.ndarray:
    return np.where(array.is_valid().to_numpy(zero_copy_only=False), sizes, 0) if array.null_count else sizes


def _list_bytes(array: pa.Array) -> np.ndarray:
    offsets = array.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    children = _children(array)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(children)])
    return before[offsets[1:]] - before[offsets[:-1]]


def _children(array: pa.Array) -> np.ndarray:
    """Bytes of each child value of a list or map, also of those that the offsets pass over."""
    if pa.types.is_map(array.type):
        return _value_bytes(array.keys) + _value_bytes(array.items)
    return _value_bytes(array.values)


def _fixed_list_bytes(array: pa.Array) -> np.ndarray:
    size = array.type.list_size
    values = array.values.slice(array.offset * size, len(array) * size)
    return _value_bytes(values).reshape(len(array), size).sum(axis=1) if size else np.zeros(len(array), np.int64)
