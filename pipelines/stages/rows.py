"""Anybody's rows through the stages: plain tables in, plain tables out, and no row lost in silence.

A batch of rows is a slice to the actors of the jobs, so that what they do to it is what the jobs do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray.data
from ray.data import Dataset, Datasource
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask

from pipelines.errors import SpecError
from pipelines.schema import CHUNK_FIELDS, EMBEDDING, SliceHeader, fold, unfold
from pipelines.spec import EmbedSpec, Slicing, Storage
from pipelines.stages.documents import TEXT, TEXT_PAIR, DocumentColumns, rows_of
from pipelines.stages.encode import ChunkEncoder
from pipelines.stages.read import Stretch, group
from pipelines.stages.recipe import Recipe
from pipelines.stages.slicewise import ROW
from pipelines.stages.tokenize import INPUT_IDS, ChunkTokenizer
from pipelines.store.columns import is_text, plain_type
from pipelines.store.shards import Shard, read_footer
from pipelines.store.slices import SliceReading, read_slices

BadRows = Literal["raise", "keep"]
"""What becomes of rows that can't be processed: an error, or rows with nulls and the reason."""
ERROR = "error"
"""Column of the reasons, null for rows that went well; there where bad rows are kept."""
READ_ROWS = 1024
"""Rows of a block that is read."""
READ_CPUS = 0.25
IDS = pa.large_list(pa.int32())


@dataclass(frozen=True, kw_only=True)
class RowReading:
    """Which columns of a corpus are read, from where."""

    columns: DocumentColumns
    storage: Storage = Storage()

    def rows(self, shards: Iterable[Shard]) -> Iterator[pa.Table]:
        """The rows of these shards in order, bad ones too. ShardError where one can't be read to its end."""
        reading = SliceReading(
            columns=self.columns.wanted, slicing=Slicing(max_rows=READ_ROWS), output_row_bytes=0, storage=self.storage
        )
        for shard in shards:
            num_rows = read_footer(shard, self.storage).num_rows
            for first_row, table in read_slices(shard, 0, num_rows, reading):
                yield rows_of(table, first_row, shard, self.columns)


def read_rows(shards: Sequence[Shard], reading: RowReading) -> Dataset:
    """The rows of a corpus as a dataset: id, texts, and what is passed through."""
    source = RowSource(shards, reading)
    return ray.data.read_datasource(source, num_cpus=READ_CPUS, override_num_blocks=len(source.tasks))


class RowSource(Datasource):
    """A Ray Data source of rows. Small shards share a task."""

    def __init__(self, shards: Sequence[Shard], reading: RowReading) -> None:
        super().__init__()
        stretches = group(Stretch(shard=shard, first_row=0, stop_row=0) for shard in shards)
        self.tasks = [[stretch.shard for stretch in task] for task in stretches]
        self._reading = reading

    def estimate_inmemory_data_size(self) -> int | None:
        """Bytes of the shards on disk."""
        return sum(shard.size for task in self.tasks for shard in task)

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """One task a group of shards, whatever the parallelism asked for."""
        return [self._read_task(task) for task in self.tasks]

    def _read_task(self, shards: list[Shard]) -> ReadTask:
        metadata = BlockMetadata(
            num_rows=None,
            size_bytes=sum(shard.size for shard in shards),
            exec_stats=None,
            input_files=[shard.name for shard in shards],
        )
        return ReadTask(partial(self._reading.rows, shards), metadata)


class RowTokenizer:
    """Actor: rows with the spec's text columns get input_ids, num_tokens, truncated (and a chunk's place)."""

    def __init__(self, recipe: Recipe[EmbedSpec], bad_rows: BadRows, most_rows: int) -> None:
        self._spec, self._bad_rows, self._most_rows = recipe.spec, bad_rows, most_rows
        self._tokenizer = ChunkTokenizer(recipe)

    def __call__(self, rows: pa.Table) -> Iterator[pa.Table]:
        """The rows in pieces, with the columns that were there. SpecError where one is missing, or a row is bad and is
        not to be kept.
        """
        check_columns(rows.column_names, self._spec.texts, tokenized_columns(self._spec))
        for piece in _pieces(_with_texts(rows, self._spec.texts), self._most_rows):
            yield through(self._tokenizer, piece, self._bad_rows, self._spec.id)


class RowEncoder:
    """Actor: rows with input_ids get an embedding in their place. It passes the gate first."""

    def __init__(
        self, recipe: Recipe[EmbedSpec], bad_rows: BadRows, most_rows: int, settings: dict[str, Any], gate: Any
    ) -> None:
        self._spec, self._bad_rows, self._most_rows = recipe.spec, bad_rows, most_rows
        self._encoder = ChunkEncoder(recipe, settings, gate)

    def __call__(self, rows: pa.Table) -> Iterator[pa.Table]:
        """The rows in pieces, with the columns that were there but for input_ids. SpecError as in ``RowTokenizer``."""
        check_columns(rows.column_names, [INPUT_IDS], [EMBEDDING])
        for piece in _pieces(_with_ids(rows), self._most_rows):
            yield through(self._encoder, piece, self._bad_rows, self._spec.id)


def _pieces(rows: pa.Table, most: int) -> Iterator[pa.Table]:
    """The rows, so many at a time; of none one piece, which has the columns."""
    return (rows.slice(first, most) for first in range(0, max(rows.num_rows, 1), most))


def tokenized_columns(spec: EmbedSpec) -> list[str]:
    """What tokenize adds to rows."""
    return [INPUT_IDS, "num_tokens", "truncated", *([name for name, _ in CHUNK_FIELDS if spec.overlong == "chunk"])]


def check_columns(there: Sequence[str], needed: Sequence[str], made: Sequence[str]) -> None:
    """SpecError where rows with these columns lack a needed one, or have one that is to be made."""
    columns = ", ".join(there) or "none"
    if missing := [name for name in needed if name not in there]:
        remedy = "tokenize the rows first" if missing == [INPUT_IDS] else "name the text column by EmbedSpec.text"
        raise SpecError(f"the rows have no column {missing[0]!r} (their columns: {columns}): {remedy}")
    if taken := [name for name in (*made, ROW, TEXT, TEXT_PAIR) if name in there]:
        raise SpecError(
            f"the rows have a column {taken[0]!r} already, which is to be made (their columns: {columns}): drop it "
            "or rename it first"
        )


def through(stage: Callable[[pa.Table], pa.Table], rows: pa.Table, bad_rows: BadRows, id_name: str) -> pa.Table:
    """What a stage makes of rows, in their order. Bad ones raise SpecError, or are kept: new columns null, the reason
    in ``ERROR``.
    """
    numbered = rows.append_column(ROW, pa.array(np.arange(rows.num_rows), pa.int64()))
    sound = numbered
    if bad_rows == "keep" and ERROR in rows.column_names:
        sound = numbered.filter(pc.is_null(numbered[ERROR])).drop_columns([ERROR])
    header = SliceHeader(shard="", shard_id="", first_row=0, num_documents=sound.num_rows)
    done, header = unfold(stage(fold(sound, header)))
    reasons = {letter.row: letter.reason for letter in header.dead_letters}
    if bad_rows == "keep":
        return _together(done, numbered, sound, reasons)
    if reasons:
        raise SpecError(_refusal(numbered, reasons, id_name))
    return done.drop_columns([ROW])


def _refusal(numbered: pa.Table, reasons: Mapping[int, str], id_name: str) -> str:
    row, reason = min(reasons.items())
    where = f"row {row} of its batch"
    if id_name in numbered.column_names:
        where = f"the one with {id_name} {numbered[id_name][row].as_py()!r}"
    return (
        f"{len(reasons)} rows can't be processed, the first is {where} ({reason}): filter such rows out before, or "
        'keep them by bad_rows="keep", with nulls and a column of reasons'
    )


def _together(done: pa.Table, numbered: pa.Table, sound: pa.Table, reasons: Mapping[int, str]) -> pa.Table:
    """The rows that went well and those that did not, in order, with a column of reasons."""
    bad = pc.is_in(numbered[ROW], pa.array(set(reasons), pa.int64()))
    bad = pc.or_(bad, pc.invert(pc.is_in(numbered[ROW], sound[ROW].combine_chunks())))
    left = numbered.filter(bad)
    known = left[ERROR].to_pylist() if ERROR in left.column_names else [None] * left.num_rows
    told = [reasons.get(row, why) for row, why in zip(left[ROW].to_pylist(), known, strict=True)]
    columns = {
        field.name: left[field.name] if field.name in left.column_names else pa.nulls(left.num_rows, field.type)
        for field in done.schema
    }
    went_well = done.append_column(ERROR, pa.nulls(done.num_rows, pa.string()))
    failed = pa.table(columns, done.schema).append_column(ERROR, pa.array(told, pa.string()))
    both = pa.concat_tables([went_well, failed])
    return both.take(pa.array(np.argsort(both[ROW].to_numpy(), kind="stable"))).drop_columns([ROW])


def _with_texts(rows: pa.Table, texts: Sequence[str]) -> pa.Table:
    """The rows with their texts in plain types. SpecError where a column holds something else."""
    for name in texts:
        kind = plain_type(rows[name].type)
        if not (is_text(kind) or pa.types.is_null(kind)):
            raise SpecError(f"column {name!r} is {kind}: text must be string or large_string")
        if kind != rows[name].type:
            rows = rows.set_column(rows.column_names.index(name), name, rows[name].cast(kind))
    return rows


def _with_ids(rows: pa.Table) -> pa.Table:
    """The rows with token ids as the encoder takes them."""
    at = rows.column_names.index(INPUT_IDS)
    try:
        return rows.set_column(at, INPUT_IDS, rows[INPUT_IDS].cast(IDS))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SpecError(
            f"column {INPUT_IDS!r} is {rows[INPUT_IDS].type}: it must be lists of token ids, int32"
        ) from error
