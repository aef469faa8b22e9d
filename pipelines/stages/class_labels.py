"""Columns of labels as classes: strings, integers or booleans, or lists of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.store.columns import is_text
from pipelines.text.ragged import Ragged
from pipelines.text.ranges import ends_of

NUMBER = re.compile(r"-?\d+")


@dataclass(frozen=True, kw_only=True)
class ClassLabels:
    """The labels of n rows."""

    names: list[str]
    """The different ones, in order of their first row; also those that only rows with a fault have."""
    codes: Ragged
    """int32, n lists of places among the names; none of a row with a fault."""
    faults: dict[int, str] = field(default_factory=dict)
    """Why a row has no labels that can be told, by its place."""

    def as_classes(self, labels: list[str], *, by_number: bool = False) -> ClassLabels:
        """The same with places among these classes. A row with another label has a fault.

        ``by_number``: the labels that were read are such places. Where the classes are numbers themselves, they count.
        """
        number = {name: place for place, name in enumerate(labels)}
        if by_number and not all(map(NUMBER.fullmatch, labels)):
            number = {str(place): place for place in range(len(labels))}
        mapping = np.array([number.get(name, -1) for name in self.names], np.int32)
        codes = Ragged(mapping[self.codes.values], self.codes.offsets)
        rows = np.repeat(np.arange(len(codes)), codes.lengths)
        unknown = np.unique(rows[codes.values < 0]).tolist()
        faults = {**self.faults, **dict.fromkeys(unknown, "a label is none of the classes")}
        return ClassLabels(names=labels, codes=without(codes, faults), faults=faults)


def name_of(value: object) -> str:
    """What a class is called: true and false, a number, or the string itself."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def in_order(names: Iterable[str], kind: pa.DataType) -> list[str]:
    """Names of classes sorted: numbers by their size, where the labels' type is one, and else as strings."""
    return sorted(names, key=int) if pa.types.is_integer(kind) else sorted(names)


def is_number(kind: pa.DataType) -> bool:
    """Whether classes of the type, or in lists of it, are numbers."""
    return bool(pa.types.is_integer(kind.value_type if is_list(kind) else kind))


def is_class(kind: pa.DataType) -> bool:
    """Whether values of the type are classes."""
    return is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)


def is_list(kind: pa.DataType) -> bool:
    """Whether values of the type are lists."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def read_labels(column: pa.ChunkedArray) -> ClassLabels:
    """The labels of a column of classes, or of lists of classes, which has no text that is no UTF-8."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    nulls = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
    if is_list(array.type):
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        names, values = _encoded(pc.list_flatten(array))
        codes = Ragged(values, ends_of(lengths))
        faults = dict.fromkeys(nulls.tolist(), "the labels are null")
        rows = np.repeat(np.arange(len(codes)), lengths)
        faults |= dict.fromkeys(np.unique(rows[values < 0]).tolist(), "a label is null")
    else:
        names, values = _encoded(array)
        codes = Ragged(values, np.arange(len(values) + 1))
        faults = dict.fromkeys(nulls.tolist(), "the label is null")
    blank = [place for place, name in enumerate(names) if not name.strip()]
    rows = np.repeat(np.arange(len(codes)), codes.lengths)
    faults = dict.fromkeys(np.unique(rows[np.isin(codes.values, blank)]).tolist(), "a label is empty") | faults
    return ClassLabels(names=names, codes=without(codes, faults), faults=faults)


def each_once(codes: Ragged) -> Ragged:
    """The lists, rising, with each class once."""
    rows = np.repeat(np.arange(len(codes)), codes.lengths)
    size = int(codes.values.max(initial=0)) + 1
    row, code = np.divmod(np.unique(rows * size + codes.values), size)
    return Ragged(code.astype(np.int32), ends_of(np.bincount(row, minlength=len(codes))))


def without(codes: Ragged, rows: dict[int, str]) -> Ragged:
    """The lists, emptied at these places."""
    kept = np.ones(len(codes), bool)
    kept[list(rows)] = False
    lengths = codes.lengths
    return Ragged(codes.values[np.repeat(kept, lengths)], ends_of(np.where(kept, lengths, 0)))


def _encoded(array: pa.Array) -> tuple[list[str], npt.NDArray[np.int32]]:
    """The different values' names, and the place of each value among them; -1: null."""
    encoded = array.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return [name_of(value) for value in encoded.dictionary.to_pylist()], codes.astype(np.int32)
