"""Records and Arrow batches as batches of a conversion's columns, ids made; what does not fit is a dead letter."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.errors import ShardError
from pipelines.stages.record_columns import CAST, ID, TEXT, RecordColumns, word
from pipelines.stages.records import Record
from pipelines.store.columns import no_utf8, plain

BATCH_ROWS = 1024
BATCH_BYTES = 2**20
PLAIN: dict[str, set[type]] = {
    "string": {str},
    "large_string": {str},
    "int64": {int},
    "double": {int, float},
    "bool": {bool},
}
"""Types of the values of JSON that go into a column of this type. (pyarrow would cut 1.5 to a whole number.)"""

PARSED = ("int64", "double", "bool")


@dataclass(frozen=True, slots=True)
class Letter:
    """A line of a file that gave no document."""

    line: int
    reason: str


@dataclass(kw_only=True)
class Tables:
    """What comes of one file: letters and the names of columns left out are gathered while its batches are made."""

    columns: RecordColumns
    file: str
    is_csv: bool = False
    """Whether strings are what the records have for values of any type."""
    letters: list[Letter] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """Columns that the output has not, by number of records that had a value there."""

    def of_records(self, records: Iterable[Record]) -> Iterator[pa.RecordBatch]:
        """Batches of at most 1,024 rows, or some megabyte."""
        for group in _grouped(records):
            good = [record for record in group if not record.reason]
            self.letters += [Letter(record.line, record.reason) for record in group if record.reason]
            lines = np.array([record.line for record in good], np.int64)
            bad: dict[int, str] = {}
            arrays = [
                self._array(one, [record.values.get(one.name) for record in good], bad) for one in self.columns.taken
            ]
            names = set(self.columns.taken.names)
            self.left_out.update(name for record in good for name in record.values.keys() - names)
            yield self._batch(arrays, lines, bad)

    def of_batches(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches as they are cut in the file, or smaller. Lines are its rows from 1 on. Raises pyarrow's errors."""
        done = 0
        for whole in batches:
            for first in range(0, whole.num_rows, BATCH_ROWS):
                batch = plain(whole.slice(first, BATCH_ROWS))
                lines = np.arange(done + first, done + first + batch.num_rows) + 1
                yield self._of_batch(batch, lines)
            done += whole.num_rows

    def _of_batch(self, batch: pa.RecordBatch, lines: np.ndarray) -> pa.RecordBatch:
        bad: dict[int, str] = {}
        for name in batch.schema.names:
            odd = np.flatnonzero(no_utf8(batch[name]))
            bad |= {int(place): f"column {name!r} is no UTF-8" for place in odd}
        if bad:
            alive = np.array([place for place in range(batch.num_rows) if place not in bad], np.int64)
            self.letters += [Letter(int(lines[place]), reason) for place, reason in sorted(bad.items())]
            batch, lines = batch.take(alive), lines[alive]
        arrays = [_cast(batch, one, one.name in self.columns.as_json) for one in self.columns.taken]
        return self._batch(arrays, lines, {})

    def _array(self, column: pa.Field, values: list[Any], bad: dict[int, str]) -> pa.Array:
        """The values in the column's type; those that don't fit are told in ``bad`` by place, and null here."""
        if column.name in self.columns.as_json:
            values = [one if one is None or isinstance(one, str) else _as_json(one) for one in values]
        in_type = _parsed if self.is_csv and str(column.type) in PARSED else _in_type
        try:
            return in_type(values, column.type)
        except CAST:
            pass
        for place, one in enumerate(values):
            try:
                in_type([one], column.type)
            except CAST:
                bad.setdefault(place, f"column {column.name!r} is {word(one)} that is no {column.type} (--spec.types)")
                values[place] = None
        return in_type(values, column.type)

    def _batch(self, arrays: Sequence[pa.Array], lines: np.ndarray, bad: dict[int, str]) -> pa.RecordBatch:
        """The output's columns, of the rows that are no dead letters."""
        names = self.columns.names
        found = {names[one.name]: array for one, array in zip(self.columns.taken, arrays, strict=True)}
        for name, is_needed in ((TEXT, bool(self.columns.text)), (ID, bool(self.columns.id))):
            if is_needed and found[name].null_count:
                for place in np.flatnonzero(found[name].is_null().to_numpy(zero_copy_only=False)):
                    bad.setdefault(int(place), f"it has no {name}")
        if not self.columns.id:
            found[ID] = self._ids(found.get(TEXT), lines)
        batch = pa.record_batch([found[name] for name in self.columns.schema.names], schema=self.columns.schema)
        if bad:
            self.letters += [Letter(int(lines[place]), reason) for place, reason in sorted(bad.items())]
            batch = batch.take(pa.array([place for place in range(len(lines)) if place not in bad], pa.int64()))
        return batch

    def _ids(self, texts: pa.Array | None, lines: np.ndarray) -> pa.Array:
        if self.columns.ids == "hash" and texts is not None:
            return pa.array([text_hash(text or "") for text in texts.to_pylist()], pa.string())
        return pa.array([f"{self.file}:{line}" for line in lines], pa.string())


def text_hash(text: str) -> str:
    """SHA-256 of the text in UTF-8, the first 32 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _grouped(records: Iterable[Record]) -> Iterator[list[Record]]:
    group, room = list[Record](), BATCH_BYTES
    for record in records:
        group.append(record)
        room -= record.num_bytes
        if room <= 0 or len(group) == BATCH_ROWS:
            yield group
            group, room = [], BATCH_BYTES
    if group:
        yield group


def _in_type(values: list[Any], kind: pa.DataType) -> pa.Array:
    """An array of JSON values of this type, and no other."""
    found = set(map(type, values)) - {type(None)}
    if str(kind) in PLAIN and not found <= PLAIN[str(kind)]:
        raise TypeError("values of another type")
    if str(kind) not in PLAIN and not all(_fits(one, kind) for one in values):
        raise TypeError("values of another type, or fields that are unknown")
    return pa.array(values, kind)


def _parsed(values: list[str | None], kind: pa.DataType) -> pa.Array:
    """An array of what strings say; empty ones are nulls."""
    return pa.array([(one or "").strip() or None for one in values], pa.string()).cast(kind)


def _fits(value: Any, kind: pa.DataType) -> bool:
    if value is None:
        return True
    if pa.types.is_struct(kind):
        known = {one.name: one.type for one in kind}
        return isinstance(value, dict) and all(name in known and _fits(one, known[name]) for name, one in value.items())
    if pa.types.is_list(kind):
        return isinstance(value, list) and all(_fits(one, kind.value_type) for one in value)
    return type(value) in PLAIN.get(str(kind), {type(value)})


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _cast(batch: pa.RecordBatch, column: pa.Field, as_json: bool) -> pa.Array:
    if column.name not in batch.schema.names:
        return pa.nulls(batch.num_rows, column.type)
    array = batch[column.name]
    if as_json and not pa.types.is_string(array.type) and not pa.types.is_large_string(array.type):
        return pa.array([None if one is None else _as_json(one) for one in array.to_pylist()], pa.string())
    try:
        return array.cast(column.type)
    except CAST:  # pyarrow's words may hold the value
        raise ShardError(
            f"column {column.name!r} is {array.type} and holds what is no {column.type} (--spec.types)"
        ) from None
