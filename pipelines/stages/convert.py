"""convert: groups of files -> shards of Parquet; what comes back is a receipt a shard, and one a group."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray.data
from ray.data import Dataset, Datasource, TaskPoolStrategy
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask

from pipelines.convert_spec import ConvertSpec
from pipelines.errors import ShardError
from pipelines.spec import Storage
from pipelines.stages.even_shards import Size, cut
from pipelines.stages.record_columns import ID, TEXT, RecordColumns
from pipelines.stages.record_tables import BATCH_BYTES, Letter, Tables
from pipelines.stages.records import records
from pipelines.stages.slicewise import private_bytes
from pipelines.store.conversion import DEAD_LETTERS, Done, Group, finish_group
from pipelines.store.formats import format_of
from pipelines.store.location import Location
from pipelines.store.shards import Shard
from pipelines.store.sources import Source, compression_of, open_source, read_batches

GROUP_ROWS = 16384
GROUP_BYTES = 16 * 2**20
"""Most of a row group, about: a slice of the other jobs reads few of them."""


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """How files are converted, and whereto."""

    spec: ConvertSpec
    columns: RecordColumns
    output: Location
    metadata: Mapping[str, str]
    storage: Storage = Storage()


@dataclass(kw_only=True)
class Receipt:
    """What was done since the receipt before. ``key``: the shard that was written; "": the group's last receipt."""

    group: int
    key: str
    num_rows: int = 0
    num_bytes: int = 0
    """Of the shard's file."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Dead letters."""
    set_aside: dict[str, str] = field(default_factory=dict)
    """Why a file was not read to its end, by name (last receipt)."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Records that had a value in a column that the output has not, by column (last receipt)."""
    peak_bytes: float = 0.0
    """Private memory of the worker."""

    def to_arrow(self) -> pa.Table:
        """A table of one row."""
        return pa.table({"receipt": [json.dumps(asdict(self))]})


def receipts_of(batch: pa.Table) -> list[Receipt]:
    """What ``to_arrow`` made."""
    return [Receipt(**json.loads(one)) for one in batch["receipt"].to_pylist()]


def convert(groups: Sequence[Group], conversion: Conversion, *, num_tasks: int) -> Dataset:
    """Convert the groups, each in a task of one CPU, at most ``num_tasks`` at once; give back receipts."""
    source = GroupSource(groups, conversion)
    return ray.data.read_datasource(
        source, num_cpus=1, compute=TaskPoolStrategy(size=num_tasks), override_num_blocks=len(groups)
    )


class GroupSource(Datasource):
    """A Ray Data source of receipts. A task that is run again writes the same shards under the same names."""

    def __init__(self, groups: Sequence[Group], conversion: Conversion) -> None:
        super().__init__()
        self._groups = groups
        self._conversion = conversion

    def estimate_inmemory_data_size(self) -> int | None:
        """Receipts are small."""
        return 1000 * len(self._groups)

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """One task a group, whatever the parallelism asked for."""
        return [_task(group, self._conversion) for group in self._groups]


def _task(group: Group, conversion: Conversion) -> ReadTask:
    names = [file.name for file in group.files]
    metadata = BlockMetadata(num_rows=None, size_bytes=1000, exec_stats=None, input_files=names)
    return ReadTask(partial(converted, group, conversion), metadata)


def converted(group: Group, conversion: Conversion) -> Iterator[pa.Table]:
    """Write a group's shards, and then that it is done: a receipt each.

    A file that breaks ends there, and the next one goes on. StoreError where the world fails: the group is not done.
    """
    reading = GroupReading(group, conversion)
    spec = conversion.spec
    shards: dict[str, int] = {}
    for number, batches in enumerate(cut(reading.batches(), Size(spec.shard_rows, spec.shard_bytes))):
        key = group.key(number)
        receipt = _write(conversion, key, batches)
        shards[key] = receipt.num_rows
        receipt.group, receipt.reasons = group.number, reading.new_reasons()
        yield receipt.to_arrow()
    done = Done(shards=shards, num_dead_letters=reading.num_dead_letters, set_aside=reading.set_aside)
    finish_group(conversion.output, group, done, reading.letters)
    last = Receipt(group=group.number, key="", reasons=reading.new_reasons(), peak_bytes=private_bytes())
    last.set_aside, last.left_out = reading.set_aside, dict(reading.left_out)
    yield last.to_arrow()


class GroupReading:
    """The rows of a group's files, one after another, and what went wrong on the way."""

    def __init__(self, group: Group, conversion: Conversion) -> None:
        self._group = group
        self._conversion = conversion
        self._reasons: Counter[str] = Counter()
        self.letters: list[pa.Table] = []
        """Dead letters, a table each time that there were some."""
        self.num_dead_letters = 0
        self.set_aside: dict[str, str] = {}
        self.left_out: Counter[str] = Counter()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Batches of the output's columns."""
        for file in self._group.files:
            try:
                yield from self._file(file)
            except ShardError as error:
                self.set_aside[file.name] = str(error)

    def new_reasons(self) -> dict[str, int]:
        """Dead letters by reason, of what was read since this was asked for before."""
        found, self._reasons = dict(self._reasons), Counter()
        return found

    def _file(self, file: Shard) -> Iterator[pa.RecordBatch]:
        source = source_of(file)
        tables = Tables(columns=self._conversion.columns, file=file.name, is_csv=source.format in (".csv", ".tsv"))
        try:
            with open_source(source, self._conversion.storage) as reader:
                if source.format == ".arrow":
                    batches = tables.of_batches(read_batches(reader))
                else:
                    batches = tables.of_records(records(reader, source.format, file.name, self._conversion.spec))
                for batch in batches:
                    self._keep(file, tables)
                    yield batch
        finally:
            self._keep(file, tables)
            self.left_out += tables.left_out

    def _keep(self, file: Shard, tables: Tables) -> None:
        letters, tables.letters = tables.letters, []
        if letters:
            self.letters.append(_table(file.name, letters))
            self.num_dead_letters += len(letters)
            self._reasons.update(letter.reason for letter in letters)


def source_of(file: Shard) -> Source:
    """The source that a file of a group is."""
    return Source(file=file, format=format_of(file.name), compression=compression_of(file.name))


def _table(name: str, letters: Sequence[Letter]) -> pa.Table:
    columns = [[name] * len(letters), [one.line for one in letters], [one.reason for one in letters]]
    return pa.table(
        [pa.array(values, kind) for values, kind in zip(columns, DEAD_LETTERS.types, strict=True)], DEAD_LETTERS.names
    )


def _write(conversion: Conversion, key: str, batches: Iterable[pa.RecordBatch]) -> Receipt:
    """Stream a shard to where it belongs, where it appears as a whole."""
    schema = conversion.columns.schema
    told = {
        **{name.encode(): value.encode() for name, value in conversion.metadata.items()},
        **conversion.columns.notes,
    }
    # Ids and texts hardly repeat. Bounds of texts are texts, which don't belong into a footer.
    repeating = [name for name in schema.names if name not in (ID, TEXT)]
    bounded = [one.name for one in schema if one.name == ID or pa.types.is_primitive(one.type)]
    counted = Receipt(group=0, key=key)

    def write(path: Path) -> None:
        counted.num_rows = 0
        with pq.ParquetWriter(
            path, schema.with_metadata(told), compression="zstd", use_dictionary=repeating, write_statistics=bounded
        ) as writer:
            for table in _row_groups(batches, schema):
                writer.write_table(table, row_group_size=table.num_rows)
                counted.num_rows += table.num_rows

    counted.num_bytes = conversion.output.put_written(key, write).size
    counted.peak_bytes = private_bytes()
    return counted


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    rows, num_bytes = 0, 0
    for batch in batches:
        if waiting and (rows + batch.num_rows > GROUP_ROWS or num_bytes + batch.nbytes > GROUP_BYTES + BATCH_BYTES):
            yield pa.Table.from_batches(waiting, schema)
            waiting, rows, num_bytes = [], 0, 0
        waiting.append(batch)
        rows, num_bytes = rows + batch.num_rows, num_bytes + batch.nbytes
    if waiting:
        yield pa.Table.from_batches(waiting, schema)
