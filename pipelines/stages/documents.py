"""From the columns of a shard to documents: row, id, text, and what is passed through."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from pipelines.errors import ShardError
from pipelines.schema import DeadLetter
from pipelines.spec import CorpusSpec
from pipelines.stages.slicewise import ROW
from pipelines.store.columns import is_text, no_utf8
from pipelines.store.shards import Shard

TEXT, TEXT_PAIR = "_text", "_text_pair"
"""Columns of the text to be tokenized, and of a second one that stands behind it. They do not reach the parts."""
GROUP = "_group"
"""Column that tells which documents belong together, where a spec asks for it. It does not reach the parts."""
TARGET = "_target:"
"""What precedes the name of a column that is read and not carried (``CorpusSpec.targets``), such as labels."""
LISTS = pa.large_list(pa.large_string())
"""Type of the text column where a document is a list of sentences."""


@dataclass(frozen=True, kw_only=True)
class DocumentColumns:
    """Which columns of a shard make a document. ``id`` "" means: ids are "<path under the corpus>:<row>"."""

    texts: tuple[str, ...]
    separator: str
    id: str
    id_name: str
    id_type: pa.DataType
    passthrough: dict[str, pa.DataType] = field(default_factory=dict)
    pairs: tuple[str, ...] = ()
    """Columns of a second text; () where there is none."""
    group: str = ""
    """Column of groups; "" where they are not asked for."""
    are_lists: bool = False
    """Whether the text column holds lists of sentences."""
    targets: dict[str, pa.DataType] = field(default_factory=dict)
    """Columns that are read beside, and do not reach the parts."""

    @property
    def wanted(self) -> list[str]:
        """The columns to read, each once."""
        more = [name for name in (self.id, self.group) if name]
        return list(dict.fromkeys([*self.texts, *self.pairs, *more, *self.passthrough, *self.targets]))

    @property
    def carried(self) -> list[str]:
        """Names of the columns that go from the documents into the parts."""
        return [self.id_name, *self.passthrough]

    def facts(self) -> dict[str, Any]:
        """The columns as JSON, for the output's spec.json: later runs cast to the types that the first one found."""
        schema = pa.schema([(self.id_name, self.id_type), *self.passthrough.items()])
        return {
            "texts": list(self.texts),
            **({"pairs": list(self.pairs)} if self.pairs else {}),
            **({"group": self.group} if self.group else {}),
            **({"are_lists": True} if self.are_lists else {}),
            **({"targets": _schema_text(pa.schema(self.targets.items()))} if self.targets else {}),
            "separator": self.separator,
            "id": self.id,
            "id_name": self.id_name,
            "types": {field.name: str(field.type) for field in schema},
            "arrow_schema": _schema_text(schema),
        }

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> DocumentColumns:
        """What ``facts`` told."""
        schema = _schema_of(facts["arrow_schema"])
        targets = _schema_of(facts["targets"]) if "targets" in facts else ()
        return cls(
            texts=tuple(facts["texts"]),
            pairs=tuple(facts.get("pairs", ())),
            group=facts.get("group", ""),
            are_lists=facts.get("are_lists", False),
            separator=facts["separator"],
            id=facts["id"],
            id_name=facts["id_name"],
            id_type=schema.field(0).type,
            passthrough={field.name: field.type for field in list(schema)[1:]},
            targets={field.name: field.type for field in targets},
        )


def _schema_text(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize()).decode()


def _schema_of(text: str) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def columns_for(spec: CorpusSpec, schema: pa.Schema) -> DocumentColumns:
    """The columns that a spec asks for, typed as the corpus' first shard has them; ShardError where they don't fit."""
    present = spec.id in schema.names
    if not present and spec.id != "id":
        raise ShardError(
            f"has no id column {spec.id!r} (its columns: {', '.join(schema.names)}): name one with spec.id"
        )
    columns = DocumentColumns(
        texts=tuple(spec.texts),
        pairs=tuple(spec.pairs),
        group=spec.group_by,
        are_lists=spec.has_lists,
        separator=spec.separator,
        id=spec.id if present else "",
        id_name=spec.id,
        id_type=_plain(schema.field(spec.id).type) if present else pa.large_string(),
        passthrough={name: schema.field(name).type for name in spec.passthrough if name in schema.names},
        targets={name: schema.field(name).type for name in spec.targets if name in schema.names},
    )
    missing = [name for name in spec.passthrough if name not in schema.names]
    if missing:
        raise ShardError(f"has no column {missing[0]!r} to pass through (its columns: {', '.join(schema.names)})")
    if missing := [name for name in spec.targets if name not in schema.names]:
        raise ShardError(f"has no column {missing[0]!r} (its columns: {', '.join(schema.names)})")
    check_shard(schema, columns)
    for name, kind in {columns.id: columns.id_type, **columns.targets}.items():
        if pa.types.is_null(kind):
            raise ShardError(f"column {name!r} has no type, since it holds nothing but nulls")
    return columns


def check_shard(schema: pa.Schema, columns: DocumentColumns) -> None:
    """Raise ShardError where a shard of this schema can't give the columns.

    A column that holds nothing but nulls may have the type null: its rows, if there are any, are dead letters.
    """
    for name in columns.wanted:
        if name not in schema.names:
            raise ShardError(f"has no column {name!r} (its columns: {', '.join(schema.names)})")
    wanted = "a list of strings" if columns.are_lists else "string or large_string"
    for name in (*columns.texts, *columns.pairs):
        kind = _plain(schema.field(name).type)
        if not (_is_list_of_text(kind) if columns.are_lists else is_text(kind)) and not pa.types.is_null(kind):
            raise ShardError(f"column {name!r} is {schema.field(name).type}: text must be {wanted}")
    for name, what in ((columns.id, "an id"), (columns.group, "a group")):
        if name and not _is_id(kind := _plain(schema.field(name).type)) and not pa.types.is_null(kind):
            raise ShardError(f"column {name!r} is {kind}: {what} must be an integer, a string or binary")


def documents_of(
    table: pa.Table, first_row: int, shard: Shard, columns: DocumentColumns
) -> tuple[pa.Table, list[DeadLetter], dict[str, float]]:
    """The documents among a shard's rows, the rows that are none, and how many ids repeat."""
    rows = pa.array(np.arange(first_row, first_row + table.num_rows), pa.int64())
    ids = _ids(table, rows, shard, columns)
    texts = lists(table, columns.texts[0]) if columns.are_lists else joined(table, columns.texts, columns.separator)
    passed = {name: _cast(table[name], kind, name) for name, kind in columns.passthrough.items()}
    targets = {name: _cast(table[name], kind, name) for name, kind in columns.targets.items()}
    pairs = {TEXT_PAIR: joined(table, columns.pairs, columns.separator)} if columns.pairs else {}
    groups = {GROUP: table[columns.group]} if columns.group else {}
    beside = {f"{TARGET}{name}": column for name, column in targets.items()}
    documents = pa.table({ROW: rows, columns.id_name: ids, TEXT: texts, **pairs, **groups, **passed, **beside})
    faults = {"the id is null": pc.is_null(ids), "the id is not valid UTF-8": pa.array(no_utf8(ids))}
    given = {**passed, **targets}
    faults |= {f"column {name!r} is not valid UTF-8": pa.array(no_utf8(column)) for name, column in given.items()}
    faults |= {"the text is null": pc.is_null(texts)}  # one that is no UTF-8 is left to the tokenizer
    if pairs:
        faults["the second text is null"] = pc.is_null(pairs[TEXT_PAIR])
    if groups:
        faults |= {"the group is null": pc.is_null(groups[GROUP])}
        faults |= {"the group is not valid UTF-8": pa.array(no_utf8(groups[GROUP]))}
    letters: list[DeadLetter] = []
    sound = pa.array(np.ones(table.num_rows, bool))
    for reason, mask in faults.items():
        letters += _dead(rows, pc.and_(mask, sound), reason)
        sound = pc.and_not(sound, mask)
    documents = documents.filter(sound)
    repeated = documents.num_rows - pc.count_distinct(documents[columns.id_name]).as_py()
    return documents, letters, {"repeated_ids": repeated}


def rows_of(table: pa.Table, first_row: int, shard: Shard, columns: DocumentColumns) -> pa.Table:
    """A shard's rows as they are, also those that are no documents: id, texts and what is passed through, by their
    names in the corpus. ShardError where a column can't become what it is in the first shard.
    """
    rows = pa.array(np.arange(first_row, first_row + table.num_rows), pa.int64())
    ids = {columns.id_name: _ids(table, rows, shard, columns)}
    texts = dict.fromkeys((*columns.texts, *columns.pairs), pa.large_string())
    kinds = {name: kind for name, kind in (texts | columns.passthrough).items() if name not in ids}
    return pa.table(ids | {name: _cast(table[name], kind, name) for name, kind in kinds.items()})


def joined(table: pa.Table, texts: Sequence[str], separator: str) -> pa.ChunkedArray:
    """The text columns as one large_string, joined by the separator; null where all of them are null."""
    between = pa.scalar(separator, pa.large_string())
    columns = [_cast(table[name], pa.large_string(), name) for name in texts]
    # Joined is null where either is. (null_handling="skip" would drop rows where both are: pyarrow 26.)
    return reduce(lambda one, two: pc.coalesce(pc.binary_join_element_wise(one, two, between), one, two), columns)


def lists(table: pa.Table, name: str) -> pa.ChunkedArray:
    """The column as lists of sentences."""
    return _cast(table[name], LISTS, name)


def values_of(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column of texts, or of lists of them; False for one that is no UTF-8."""
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return [_value(value) for value in column]


def _value(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return False


def _ids(table: pa.Table, rows: pa.Array, shard: Shard, columns: DocumentColumns) -> pa.Array | pa.ChunkedArray:
    if columns.id:
        return _cast(table[columns.id], columns.id_type, columns.id)
    numbers = rows.cast(pa.large_string())
    prefix = pa.scalar(f"{shard.name}:", pa.large_string())
    return pc.binary_join_element_wise(prefix, numbers, pa.scalar("", pa.large_string()))


def _cast(column: pa.ChunkedArray, kind: pa.DataType, name: str) -> pa.ChunkedArray:
    """The column as this type, without loss; text that is no UTF-8 is left for the row to answer for."""
    if column.type == kind:
        return column
    try:
        cast = column.cast(kind)
        # Arrow takes "007" for 7 and rounds floats: what is cast back must be what was there.
        if is_text(kind) or pa.types.is_null(column.type) or _equal(cast.cast(column.type), column):
            return cast
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass  # refused below, without Arrow's words: they hold values
    raise ShardError(
        f"column {name!r} is {column.type} here and can't become {kind}, its type in the first shard, without loss"
    )


def _equal(back: pa.ChunkedArray, column: pa.ChunkedArray) -> bool:
    if pa.types.is_floating(column.type):  # NaN equals nothing, itself neither
        finite = pc.is_finite(column)
        back, column = back.filter(finite), column.filter(finite)
    return bool(back.equals(column))


def _dead(rows: pa.Array, mask: pa.Array | pa.ChunkedArray, reason: str) -> list[DeadLetter]:
    return [DeadLetter(row=row, stage="read", reason=reason) for row in rows.filter(mask).to_pylist()]


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type of the values, where a shard has them dictionary-encoded."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_list_of_text(kind: pa.DataType) -> bool:
    holds = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return holds and is_text(_plain(kind.value_type))


def _is_id(kind: pa.DataType) -> bool:
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return pa.types.is_integer(kind) or is_text(kind) or binary or pa.types.is_binary_view(kind)
