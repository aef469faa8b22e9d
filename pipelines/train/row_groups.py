"""The row groups of an output's instances: which there are, and a reader that keeps the last ones it decoded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import SpecError, StoreError
from pipelines.instances import INPUT_IDS, INSTANCES, SEGMENT_B_START, SENTENCE_LABEL
from pipelines.schema import flat
from pipelines.store.failures import explain, is_outside, is_parquet
from pipelines.store.location import Location
from pipelines.text.ragged import Column, Ragged
from pipelines.text.training_batch import Instances
from pipelines.train.streams import Places

Ints = npt.NDArray[np.int64]

COLUMNS = (INPUT_IDS, SEGMENT_B_START, SENTENCE_LABEL)


@dataclass(frozen=True, kw_only=True)
class RowGroups:
    """G row groups of an output's parts, part by part. It travels between processes."""

    location: Location
    keys: tuple[str, ...]  # of the parts
    part: Ints  # [G], which part each is of
    index: Ints  # [G], which of its part's row groups it is
    num_rows: Ints  # [G]

    def __len__(self) -> int:
        return len(self.part)

    @property
    def num_instances(self) -> int:
        """Rows of all of them."""
        return int(self.num_rows.sum())

    def groups(self, numbers: Ints) -> tuple[Ints, Ints]:
        """Row group of each instance, told by its number, and row in it."""
        ends = np.cumsum(self.num_rows)
        group = np.searchsorted(ends, numbers, side="right")
        return group, numbers - (ends - self.num_rows)[group]

    def names(self, numbers: Ints) -> list[tuple[str, int]]:
        """Part and row in it of each instance, told by its number."""
        group, row = self.groups(numbers)
        begins = np.cumsum(self.num_rows) - self.num_rows
        part = self.part[group]
        row += begins[group] - begins[np.searchsorted(self.part, part)]  # what the part has before the group
        return [(self.keys[one], at) for one, at in zip(part.tolist(), row.tolist(), strict=True)]


@dataclass(frozen=True)
class _Group:
    """A row group, decoded."""

    tokens: Ragged
    segment_b_start: npt.NDArray[np.int32]
    sentence_labels: npt.NDArray[np.int8]
    beside: dict[str, Column]


def list_row_groups(
    location: Location,
    keys: Sequence[str],
    *,
    threads: int = 64,
    on_progress: Callable[[int], None] = lambda done: None,
) -> RowGroups:
    """The row groups of the parts of these paths under a location, in this order, as their footers say.

    SpecError where a part holds no instances, StoreError where one can't be read.
    """
    counts: list[list[int]] = []
    with ThreadPoolExecutor(threads, "footers") as pool:
        for found in pool.map(lambda key: _footer(location, key), keys):
            counts.append(found)
            on_progress(len(counts))
    sizes = [len(found) for found in counts]
    return RowGroups(
        location=location,
        keys=tuple(keys),
        part=np.repeat(np.arange(len(counts)), sizes),
        index=np.concatenate([np.zeros(0, np.int64), *map(np.arange, sizes)]).astype(np.int64),
        num_rows=np.array([num for found in counts for num in found], np.int64),
    )


def _footer(location: Location, key: str) -> list[int]:
    """Rows of each of a part's row groups."""
    with _opened(location, key) as file:
        missing = [name for name in COLUMNS if name not in file.schema_arrow.names]
        if missing:
            raise SpecError(f"{location.join(key)} has no column {missing[0]!r}: name an output of jobs.prepare")
        return [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]


@contextmanager
def _opened(location: Location, key: str) -> Iterator[pq.ParquetFile]:
    """A part; StoreError in one line where it can't be read."""
    try:
        filesystem, path = location.arrow(key)
        with filesystem.open_input_file(path) as source:
            yield pq.ParquetFile(source, pre_buffer=True, arrow_extensions_enabled=False)
    except Exception as error:
        if is_parquet(error) or is_outside(error):
            raise StoreError(
                f"{location.join(key)} can't be read: {explain(error)}; if it is gone or broken, run jobs.prepare again"
            ) from error
        raise


class RowGroupReader:
    """Reads instances by their places, and these columns beside theirs.

    Row groups that were read last stay decoded; ``num_read`` counts all reads.
    """

    def __init__(self, row_groups: RowGroups, threads: int = 8, columns: Sequence[str] = ()) -> None:
        self._row_groups, self._threads, self._columns = row_groups, threads, columns
        self._kept: OrderedDict[int, _Group] = OrderedDict()
        self._lock = threading.Lock()
        self.num_read = 0

    def instances(self, places: Places, max_kept: int) -> Instances:
        """The instances at these places, in this order. ``max_kept`` row groups, at least these, stay decoded."""
        # A share without instances has the types of the first group's.
        wanted = np.unique(places.group).tolist() or ([0] if self._columns else [])
        with self._lock:
            groups = self._groups(wanted)
            self._kept.update(groups)
            for group in wanted:
                self._kept.move_to_end(group)
            while len(self._kept) > max(max_kept, len(wanted)):
                self._kept.popitem(last=False)
        return _taken(groups, places, self._columns)

    def document_ids(self, numbers: Ints) -> list[str]:
        """Ids of the documents that the instances of these numbers are of; the part and row where none was kept."""
        group, row = self._row_groups.groups(numbers)
        names = [f"{key} row {at}" for key, at in self._row_groups.names(numbers)]
        for one in np.unique(group).tolist():
            with self._opened(one) as (file, index):
                first = file.schema_arrow.names[0]
                if first in INSTANCES.names:
                    continue
                column = file.read_row_group(index, columns=[first], use_threads=False)[first].to_pylist()
            for place in np.flatnonzero(group == one).tolist():
                names[place] = str(column[row[place]])
        return names

    def _groups(self, wanted: Iterable[int]) -> dict[int, _Group]:
        missing = [group for group in wanted if group not in self._kept]
        self.num_read += len(missing)
        if len(missing) > 1:
            with ThreadPoolExecutor(min(self._threads, len(missing)), "row_groups") as pool:
                found = dict(zip(missing, pool.map(self._read, missing), strict=True))
        else:
            found = {group: self._read(group) for group in missing}
        return {group: found[group] if group in found else self._kept[group] for group in wanted}

    def _read(self, group: int) -> _Group:
        """A row group. SpecError where it lacks a column that is wanted."""
        with self._opened(group) as (file, index):
            table = file.read_row_group(index, columns=[*COLUMNS, *self._columns], use_threads=False)
        if missing := [name for name in self._columns if name not in table.column_names]:
            part = self._row_groups.location.join(self._row_groups.keys[self._row_groups.part[group]])
            raise SpecError(f"{part} has no column {missing[0]!r}: it holds examples of another task, or instances")
        return _Group(
            tokens=_ragged(table[INPUT_IDS]),
            segment_b_start=table[SEGMENT_B_START].to_numpy(),
            sentence_labels=table[SENTENCE_LABEL].to_numpy(),
            beside={name: _column(table[name]) for name in self._columns},
        )

    @contextmanager
    def _opened(self, group: int) -> Iterator[tuple[pq.ParquetFile, int]]:
        """The part that a row group is in, and its index there."""
        listed = self._row_groups
        key, index = listed.keys[listed.part[group]], int(listed.index[group])
        with _opened(listed.location, key) as file:
            is_there = index < file.num_row_groups
            if not is_there or file.metadata.row_group(index).num_rows != listed.num_rows[group]:
                raise StoreError(f"{listed.location.join(key)} was changed after it was listed: run again")
            yield file, index


def _ragged(lists: pa.ChunkedArray) -> Ragged:
    values, offsets = flat(lists)
    return Ragged(values, offsets.astype(np.int64))


def _column(values: pa.ChunkedArray) -> Column:
    """Values as numpy has them: texts as objects, a number that is null as NaN."""
    kind = values.type
    return _ragged(values) if pa.types.is_list(kind) or pa.types.is_large_list(kind) else values.to_numpy()


def _taken(groups: dict[int, _Group], places: Places, columns: Sequence[str]) -> Instances:
    """A batch has few rows of each of many groups: a slice a row is faster here than arithmetic on each group."""
    rows = [(groups[group], row) for group, row in zip(places.group.tolist(), places.row.tolist(), strict=True)]
    tokens = Ragged.joined((found.tokens[row] for found, row in rows), np.zeros(0, np.int32))
    return Instances(
        values=tokens.values,
        offsets=tokens.offsets,
        segment_b_start=np.array([found.segment_b_start[row] for found, row in rows], np.int32),
        sentence_labels=np.array([found.sentence_labels[row] for found, row in rows], np.int8),
        epoch=places.epoch,
        number=places.number,
        beside={
            name: _picked([(found.beside[name], row) for found, row in rows], next(iter(groups.values())).beside[name])
            for name in columns
        },
    )


def _picked(rows: Sequence[tuple[Column, int]], like: Column) -> Column:
    """Of each of these columns the value, or the list, of a row."""
    if isinstance(like, Ragged):
        return Ragged.joined((column[row] for column, row in rows), like.values)
    return np.concatenate([like[:0], *(np.asarray(column)[row : row + 1] for column, row in rows)])
