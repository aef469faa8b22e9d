"""Files of text as streams of records: what each line, row or paragraph holds, or why it holds nothing.

Records are parsed one by one, by the standard library: the line that is wrong is known, and the others go on. (Arrow's
own readers give a block up for one line of it, and its reader of JSON crashes on some lines that are no objects.)
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.convert_spec import ConvertSpec
from pipelines.errors import ShardError

NO_UTF8 = "it is no UTF-8"
TOO_LONG = "it is longer than --spec.max_document_bytes"


@dataclass(frozen=True, slots=True)
class Record:
    """What begins at a line, counted from 1. ``reason``: why there are no values; "": there are."""

    line: int
    num_bytes: int
    values: dict[str, Any]
    reason: str = ""


Line = tuple[int, bytes | None]
"""Its number, and its bytes without the line break; None: it is too long."""


def records(reader: io.BufferedReader, kind: str, name: str, spec: ConvertSpec) -> Iterator[Record]:
    """The records of a file of this format (suffix) and name. Blank lines hold none.

    ShardError where it is not of that format at all, or where the rest of it can't be told apart.
    """
    text = spec.text or "text"
    if kind == ".txt" and spec.documents == "files":
        yield from _whole(reader, text, spec.max_document_bytes)
        return
    lines = _lines(reader, spec.max_document_bytes)
    if kind in (".csv", ".tsv"):
        delimiter = spec.delimiter or ("\t" if kind == ".tsv" else ",")
        yield from _rows(lines, name, delimiter, spec.max_document_bytes)
    elif kind == ".txt":
        documents = lines if spec.documents == "lines" else _paragraphs(lines, spec.max_document_bytes)
        yield from _parsed(documents, lambda line: {text: line.removesuffix("\r")})
    else:
        yield from _parsed(_objects(lines, name), _object)


def _lines(reader: io.BufferedReader, most: int) -> Iterator[Line]:
    """Lines, of which no more is in memory than allowed: a file may be one line of gigabytes."""
    number, line = 1, reader.readline(most + 2).removeprefix(codecs.BOM_UTF8)
    while line:
        is_whole = line.endswith(b"\n") or len(line) <= most
        while not is_whole and (rest := reader.readline(io.DEFAULT_BUFFER_SIZE)):
            is_whole, line = rest.endswith(b"\n"), b""
        content = line.removesuffix(b"\n")
        yield number, content if line and len(content) <= most else None
        number, line = number + 1, reader.readline(most + 2)


def _parsed(lines: Iterable[Line], parse: Callable[[str], dict[str, Any]]) -> Iterator[Record]:
    for number, line in lines:
        if line is None:
            yield Record(number, 0, {}, TOO_LONG)
        elif line.strip():
            try:
                yield Record(number, len(line), parse(line.decode()))
            except UnicodeDecodeError:
                yield Record(number, len(line), {}, NO_UTF8)
            except _NoRecord as error:
                yield Record(number, len(line), {}, str(error))


class _NoRecord(Exception):
    """Why a line is none; never its text."""


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise _NoRecord(f"it is no JSON: {error.msg}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets as deep
        raise _NoRecord("it is JSON beyond all measure") from None
    if not isinstance(value, dict):
        raise _NoRecord("it is JSON, but no object")
    return value


def _objects(lines: Iterable[Line], name: str) -> Iterator[Line]:
    for number, line in lines:
        if number == 1 and line and line.lstrip().startswith(b"["):
            raise ShardError(f"{name} is one JSON array: write an object a line, as jq -c '.[]' does")
        yield number, line


def _paragraphs(lines: Iterable[Line], most: int) -> Iterator[Line]:
    """Lines that no blank line parts, as one."""
    first, waiting, num_bytes, is_long = 0, list[bytes](), 0, False
    for number, line in _with_end(lines):
        if line is None or line.strip():
            first = first or number
            num_bytes += len(line or b"") + 1
            is_long = is_long or line is None or num_bytes > most + 1
            if not is_long:
                waiting.append((line or b"").removesuffix(b"\r"))
        elif first:
            yield first, None if is_long else b"\n".join(waiting)
            first, waiting, num_bytes, is_long = 0, [], 0, False


def _with_end(lines: Iterable[Line]) -> Iterator[Line]:
    yield from lines
    yield 0, b""


def _whole(reader: io.BufferedReader, text: str, most: int) -> Iterator[Record]:
    content = reader.read(most + len(codecs.BOM_UTF8) + 1).removeprefix(codecs.BOM_UTF8)
    yield from _parsed([(1, content if len(content) <= most else None)], lambda whole: {text: whole})


def _rows(lines: Iterable[Line], name: str, delimiter: str, most: int) -> Iterator[Record]:
    """Rows of a CSV with a header, quoted as RFC 4180 has it: line breaks and delimiters may stand in quotes."""
    csv.field_size_limit(most)
    rows = csv.reader(_decoded(lines, name), delimiter=delimiter, strict=True)
    header = _header(rows, name)
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(line, 0, {}, f"it is no CSV: {error}")
            continue
        if row:
            yield _row(line, header, row)


def _row(line: int, header: list[str], row: list[str]) -> Record:
    num_bytes = sum(map(len, row))
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        return Record(line, num_bytes, {}, NO_UTF8)
    if len(row) != len(header):
        return Record(line, num_bytes, {}, f"it has {len(row)} columns, the header {len(header)}")
    return Record(line, num_bytes, dict(zip(header, row, strict=True)))


def _header(rows: Iterator[list[str]], name: str) -> list[str]:
    try:
        first = next(filter(None, rows), [])
        names = [title or f"column_{place}" for place, title in enumerate(first, 1)]
        "".join(names).encode()
    except (csv.Error, UnicodeEncodeError):
        raise ShardError(
            f"{name} has no header that can be read: check --spec.delimiter and that it is UTF-8"
        ) from None
    if twice := next((title for title in names if names.count(title) > 1), ""):
        raise ShardError(f"{name} names column {twice!r} twice: rename one")
    return names


def _decoded(lines: Iterable[Line], name: str) -> Iterator[str]:
    """Lines with their breaks again. What is no UTF-8 is told by lone surrogates."""
    for number, line in lines:
        if line is None:
            raise ShardError(f"{name} has a line longer than --spec.max_document_bytes (line {number:,}): is it CSV?")
        yield f"{line.decode(errors='surrogateescape')}\n"
