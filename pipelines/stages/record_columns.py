"""Which columns a conversion takes of its files, of which types, and what each becomes in the output.

Types of records are those of JSON, decided by what the files begin with: whole numbers and others together are
float64, a null is of any type, fields of objects are put together. What differs more is refused with its line.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from pipelines.convert_spec import ConvertSpec
from pipelines.errors import SpecError
from pipelines.stages.records import Record
from pipelines.store.class_names import KEY
from pipelines.store.columns import plain_schema

ID, TEXT = "id", "text"
KINDS = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}
WORDS: dict[type, str] = {
    **{bool: "true or false", int: "a whole number", float: "a number", str: "a string"},
    **{list: "a list", dict: "an object"},
}
CAST = (TypeError, ValueError, OverflowError)
"""What pyarrow raises for values that are of another type."""


@dataclass(frozen=True, kw_only=True)
class RecordColumns:
    """The columns of a conversion. Frozen with the output's first run."""

    taken: pa.Schema
    """What is taken of the files, by their names, in types of the output."""
    as_json: frozenset[str]
    """Of these, string columns in which other values than strings are put as their JSON."""
    text: str
    """The text column in the files; "": none."""
    ids: Literal["column", "line", "hash"]
    id: str
    """The id column in the files; "" where ids are made."""
    features: Mapping[str, Any] = field(default_factory=dict)
    """What the library ``datasets`` noted of the columns, names of classes with it."""

    @property
    def names(self) -> dict[str, str]:
        """Name in the output by name in the files."""
        own = {source: name for source, name in ((self.id, ID), (self.text, TEXT)) if source}
        used = {ID, *([TEXT] if self.text else [])}
        return {name: own.get(name) or (f"source_{name}" if name in used else name) for name in self.taken.names}

    @property
    def schema(self) -> pa.Schema:
        """Of the output: id, text, then the others as they are found."""
        fields = {self.names[one.name]: one.with_name(self.names[one.name]) for one in self.taken}
        fields.setdefault(ID, pa.field(ID, pa.string()))
        first = [name for name in (ID, TEXT) if name in fields and (name == ID or self.text)]
        return pa.schema([fields[name] for name in dict.fromkeys([*first, *fields])])

    @property
    def notes(self) -> dict[bytes, bytes]:
        """The features in the words of ``datasets``, for a footer; {} where there are none."""
        if not self.features:
            return {}
        features = {self.names[name]: one for name, one in self.features.items() if name in self.names}
        features = {name: features.get(name, {"dtype": "string", "_type": "Value"}) for name in self.schema.names}
        return {KEY: json.dumps({"info": {"features": features}}).encode()}

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "taken": base64.b64encode(self.taken.serialize()).decode(),
            "as_json": sorted(self.as_json),
            "text": self.text,
            "ids": self.ids,
            "id": self.id,
            "features": dict(self.features),
            "schema": {one.name: str(one.type) for one in self.schema},
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> RecordColumns:
        """What ``facts`` gave."""
        return cls(
            taken=pa.ipc.read_schema(pa.py_buffer(base64.b64decode(facts["taken"]))),
            as_json=frozenset(facts["as_json"]),
            text=facts["text"],
            ids=facts["ids"],
            id=facts["id"],
            features=facts["features"],
        )


def columns_of(found: Mapping[str, pa.Schema], spec: ConvertSpec) -> RecordColumns:
    """The columns of files whose schemas these are, by the files' names. SpecError where they don't go together."""
    taken = _unified(found, spec)
    odd = [one for one in taken if _has_nothing(one.type)]
    plain = pa.schema([one.with_type(pa.string() if one in odd else _told(one.type)) for one in taken])
    as_json = {one.name for one in odd} | {name for name, kind in spec.types.items() if kind == "string"}
    _refuse_missing(found, spec)
    has_ids = spec.ids in ("auto", "column") and spec.id in plain.names
    columns = RecordColumns(
        taken=plain.remove_metadata(),
        as_json=frozenset(as_json & set(plain.names)),
        text=spec.text,
        ids="column" if has_ids else "hash" if spec.ids == "hash" else "line",
        id=spec.id if has_ids else "",
        features=_features(list(found.values())),
    )
    _refuse_types(columns)
    _refuse_twins(columns)
    return columns


def schema_of(records: Iterable[Record], name: str, spec: ConvertSpec) -> pa.Schema:
    """The schema of a file's first records. SpecError where a column whose type is not given has several."""
    lines: dict[str, list[int]] = {}
    values: dict[str, list[Any]] = {}
    for record in records:
        for column, value in record.values.items():
            values.setdefault(column, []).append(value)
            lines.setdefault(column, []).append(record.line)
    return pa.schema(
        [
            (
                column,
                KINDS[spec.types[column]]
                if column in spec.types
                else _type(column, values[column], lines[column], name),
            )
            for column in values
        ]
    )


def word(value: Any) -> str:
    """What JSON calls a value of this type."""
    return WORDS.get(type(value), "a null")


def _type(column: str, values: Sequence[Any], lines: Sequence[int], name: str) -> pa.DataType:
    try:
        return pa.array(values).type
    except UnicodeEncodeError:  # lone surrogates, which become dead letters
        return _type(column, [None if isinstance(one, str) else one for one in values], lines, name) or pa.string()
    except OverflowError:
        kind = "a whole number beyond 64 bits"
        raise SpecError(f"{name}: column {column!r} has {kind}; {_remedy(column)}") from None
    except CAST:
        place = _first_conflict(values)
        before, other = word(next(one for one in values if one is not None)), word(values[place])
        told = f"{other} where {before} was before" if before != other else f"{other} that goes with none before"
        raise SpecError(f"{name}, line {lines[place]:,}: column {column!r} has {told}; {_remedy(column)}") from None


def _first_conflict(values: Sequence[Any]) -> int:
    """Place of the first value that does not go with those before it, by halving."""
    low, high = 0, len(values)  # the first low go together, the first high do not
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pa.array(values[:middle])
            low = middle
        except CAST:
            high = middle
    return low


def _remedy(column: str) -> str:
    return f"take its values as text: --spec.types '{json.dumps({column: 'string'})}'"


def _unified(found: Mapping[str, pa.Schema], spec: ConvertSpec) -> pa.Schema:
    """All columns, in the order in which they come; those whose type is given are there in any case."""
    given = {name: KINDS[kind] for name, kind in spec.types.items()}
    whole = pa.schema([])
    for name, schema in found.items():
        for one in plain_schema(schema):
            one = one.with_type(given.get(one.name, one.type))
            try:
                place = whole.get_field_index(one.name)
                together = pa.unify_schemas([whole, pa.schema([one])], promote_options="permissive")
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                raise SpecError(
                    f"{name}: column {one.name!r} is {one.type}, in files before it is {whole.field(place).type}; "
                    f"{_remedy(one.name)}"
                ) from None
            whole = together
    return pa.schema([*whole, *(pa.field(name, kind) for name, kind in given.items() if name not in whole.names)])


def _has_nothing(kind: pa.DataType) -> bool:
    """Whether a struct in it has no fields, which Parquet can't hold."""
    children = [kind.field(place).type for place in range(kind.num_fields)]
    return (pa.types.is_struct(kind) and not children) or any(map(_has_nothing, children))


def _told(kind: pa.DataType) -> pa.DataType:
    """The type, and strings where all values were null."""
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([one.with_type(_told(one.type)) for one in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_told(kind.value_type)))
    return kind


def _refuse_missing(found: Mapping[str, pa.Schema], spec: ConvertSpec) -> None:
    """SpecError where a file lacks the text or, if others have it, the id."""
    has_ids = any(spec.id in schema.names for schema in found.values())
    for name, schema in found.items():
        told = f"(its columns: {', '.join(schema.names)})"
        if spec.text and spec.text not in schema.names:
            raise SpecError(f"{name} has no column {spec.text!r} {told}: name the texts' by --spec.text")
        needs = has_ids if spec.ids == "auto" else spec.ids == "column"
        if needs and spec.id not in schema.names:
            raise SpecError(f"{name} has no column {spec.id!r} {told}: --spec.ids line makes ids for all files")
        if spec.id != ID and not has_ids and spec.ids == "auto":
            raise SpecError(f"{name} has no column {spec.id!r} {told}: name the ids' by --spec.id")


def _refuse_types(columns: RecordColumns) -> None:
    for name, what in ((columns.text, "texts"), (columns.id, "ids")):
        kind = columns.taken.field(name).type if name else pa.string()
        fits = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if not fits and not (what == "ids" and pa.types.is_integer(kind)):
            raise SpecError(f"column {name!r} is {kind}, which {what} are not; {_remedy(name)}")


def _refuse_twins(columns: RecordColumns) -> None:
    """SpecError where a column that makes room for an id or a text takes the name of another."""
    names = list(columns.names.values())
    if twin := next((name for name in names if names.count(name) > 1), ""):
        raise SpecError(f"two columns would be called {twin!r} in the output: rename that one in the files")


def _features(schemas: Sequence[pa.Schema]) -> dict[str, Any]:
    """What ``datasets`` noted, where all files say the same."""
    notes = {(schema.metadata or {}).get(KEY, b"") for schema in schemas}
    try:
        return dict(json.loads(notes.pop())["info"]["features"]) if len(notes) == 1 else {}
    except (ValueError, KeyError, TypeError):
        return {}
