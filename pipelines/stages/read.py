"""read: shards -> slices of documents (columns row, id, text and those passed through)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import ray.data
from ray.data import Dataset, Datasource, TaskPoolStrategy
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask

from pipelines.errors import ShardError
from pipelines.schema import SliceHeader, fold
from pipelines.spec import Slicing, Storage
from pipelines.stages.documents import DocumentColumns, documents_of
from pipelines.stages.slicewise import private_bytes
from pipelines.store.shards import Shard
from pipelines.store.slices import SliceReading, read_slices

AT_A_TIME = 16
"""Stretches of a sample that are read at once."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Consecutive rows of one shard that no part covers yet."""

    shard: Shard
    first_row: int
    stop_row: int

    @property
    def num_documents(self) -> int:
        """Rows of the stretch."""
        return self.stop_row - self.first_row


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a stretch is read: which columns, cut how, from where."""

    columns: DocumentColumns
    slicing: Slicing
    output_row_bytes: int
    storage: Storage = Storage()

    @property
    def slices(self) -> SliceReading:
        """The same for the store, which knows nothing of documents."""
        return SliceReading(
            columns=self.columns.wanted,
            slicing=self.slicing,
            output_row_bytes=self.output_row_bytes,
            storage=self.storage,
        )


def read(stretches: Sequence[Stretch], reading: Reading, *, num_tasks: int, num_cpus: float) -> Dataset:
    """The slices of these stretches, one a row of the dataset, in blocks of one; at most ``num_tasks`` read at once."""
    source = SliceSource(stretches, reading)
    return ray.data.read_datasource(
        source,
        num_cpus=num_cpus,
        compute=TaskPoolStrategy(size=num_tasks),
        override_num_blocks=len(source.tasks),
    )


class SliceSource(Datasource):
    """A Ray Data source of slices. Its tasks are pure functions of the plan: a retry replays the same slices."""

    def __init__(self, stretches: Sequence[Stretch], reading: Reading) -> None:
        super().__init__()
        self.tasks = group(stretches)
        self._reading = reading

    def estimate_inmemory_data_size(self) -> int | None:
        """Bytes of the shards on disk."""
        return sum(stretch.shard.size for task in self.tasks for stretch in task)

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """One task a group of stretches, whatever the parallelism asked for."""
        return [_read_task(task, self._reading) for task in self.tasks]


def group(stretches: Iterable[Stretch], most_bytes: int = 64 * 2**20, most: int = 64) -> list[list[Stretch]]:
    """Stretches in groups of one read task each: small shards share a task, a large one has its own."""
    tasks: list[list[Stretch]] = []
    room = 0
    for stretch in stretches:
        if not tasks or stretch.shard.size > room or len(tasks[-1]) == most:
            tasks.append([])
            room = most_bytes
        tasks[-1].append(stretch)
        room -= stretch.shard.size
    return tasks


def _read_task(stretches: list[Stretch], reading: Reading) -> ReadTask:
    metadata = BlockMetadata(
        num_rows=None,
        size_bytes=sum(stretch.shard.size for stretch in stretches),
        exec_stats=None,
        input_files=[stretch.shard.name for stretch in stretches],
    )
    return ReadTask(partial(slices_of, stretches, reading), metadata)


def slices_of(stretches: Iterable[Stretch], reading: Reading) -> Iterator[pa.Table]:
    """The slices of the stretches. A stretch that breaks midway ends in an error slice, and the next one goes on.

    A failure of the world outside (StoreError) is raised: the shard is not to blame, and another run may read it.
    """
    for stretch in stretches:
        done = stretch.first_row
        try:
            for header, documents in _slices(stretch, reading):
                done = header.first_row + header.num_documents
                yield fold(documents, header)
        except ShardError as error:
            yield _error_slice(stretch, done, error)


def slices_at_once(stretches: Sequence[Stretch], reading: Reading) -> Iterator[list[pa.Table]]:
    """The slices of many short stretches, in order: lists of those of some stretches that are read at the same time."""
    with ThreadPoolExecutor(AT_A_TIME, "sample") as pool:
        for start in range(0, len(stretches), AT_A_TIME):
            some = stretches[start : start + AT_A_TIME]
            found = pool.map(lambda stretch: list(slices_of([stretch], reading)), some)
            yield [one for slices in found for one in slices]


def _slices(stretch: Stretch, reading: Reading) -> Iterator[tuple[SliceHeader, pa.Table]]:
    begin = time.perf_counter()
    for first_row, table in read_slices(stretch.shard, stretch.first_row, stretch.stop_row, reading.slices):
        header = SliceHeader(
            shard=stretch.shard.name,
            shard_id=stretch.shard.shard_id,
            first_row=first_row,
            num_documents=table.num_rows,
        )
        documents, letters, stats = documents_of(table, first_row, stretch.shard, reading.columns)
        stats |= {"read_bytes": table.nbytes, "read_seconds": time.perf_counter() - begin}
        yield header.add(letters, stats | {"peak_bytes.read": private_bytes()}), documents
        begin = time.perf_counter()


def _error_slice(stretch: Stretch, done: int, error: ShardError) -> pa.Table:
    """No documents, but the rows that are missing and why: the part of a shard that could not be read."""
    header = SliceHeader(
        shard=stretch.shard.name,
        shard_id=stretch.shard.shard_id,
        first_row=done,
        num_documents=stretch.stop_row - done,
        error=str(error),
    )
    return fold(pa.table({}), header)
