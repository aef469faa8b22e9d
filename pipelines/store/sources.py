"""Files that hold documents and are no Parquet: found, known by their names, opened as streams of plain bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from pipelines.errors import ShardError, SpecError, StoreError
from pipelines.spec import Storage
from pipelines.store.failures import explain, is_outside, is_parquet
from pipelines.store.formats import FORMATS, UNPACKED, format_of
from pipelines.store.location import Location, locate
from pipelines.store.shards import BESIDE, Shard, check_version, list_files, refuse_odd_name

STATE, SPLITS = "state.json", "dataset_dict.json"
DESCRIPTIONS = (STATE, SPLITS, "dataset_info.json", "dataset_infos.json")
"""What the library ``datasets`` writes beside its data; none of them holds documents."""
READ_BYTES = 2**20
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file with documents, in one version."""

    file: Shard
    format: str
    """Its suffix, such as ".jsonl", without that of its compression."""
    compression: str
    """As pyarrow calls it; "": none."""
    split: str = ""
    """The split of a DatasetDict that it belongs to; "": none."""


def list_sources(named: str | list[str], storage: Storage = Storage()) -> list[Source]:
    """The files that paths, folders (recursively) and globs name, in order of splits and names.

    Of a folder that ``datasets.save_to_disk`` wrote, the data files that its state.json names. SpecError where there is
    nothing, or where a file is of another format.
    """
    files = list_files(named, storage, _may_hold_documents, _refuse_others)
    by_name = {file.name: file for file in files}
    sources = [
        Source(
            file=file, format=format_of(file.name), compression=compression_of(file.name), split=_split(file, by_name)
        )
        for file in files
        if PurePosixPath(file.name).name not in DESCRIPTIONS
    ]
    found = [source for source in sources if _is_of_its_dataset(source.file, by_name, storage)]
    if not found:
        roots = [named] if isinstance(named, str) else named
        raise SpecError(
            f"there is no file of documents in {', '.join(roots) or 'an empty list'}: name a file, folder or glob of "
            f"{', '.join(FORMATS)} (packed as {', '.join(UNPACKED)} too)"
        )
    return sorted(found, key=lambda source: (source.split, source.file.name))


def compression_of(name: str) -> str:
    """How a file is packed, "" if it is not."""
    return UNPACKED.get(PurePosixPath(name.lower()).suffix, "")


@contextmanager
def open_source(source: Source, storage: Storage = Storage()) -> Iterator[io.BufferedReader]:
    """The file's bytes, unpacked as they are read. It is looked at again at the end, for it may have changed.

    Within the context whatever is wrong with its bytes becomes ShardError, and with the world StoreError.
    """
    name = source.file.name
    check_version(source.file, storage)
    try:
        filesystem, path = locate(source.file.uri, storage).arrow()
        with filesystem.open_input_stream(path, compression=source.compression or None) as stream:
            reader = io.BufferedReader(stream, READ_BYTES)
            if reader.peek(2)[:2] in UTF_16:
                raise ShardError(f"{name} is in UTF-16: write it in UTF-8, as by iconv -f utf-16 -t utf-8")
            yield reader
    except Exception as error:
        if is_parquet(error):  # an error of Arrow's that is about bytes, also where they are packed
            raise ShardError(f"{name} can't be read to its end: {explain(error)}") from error
        if is_outside(error):
            raise StoreError(f"{name}: {explain(error)}") from error
        raise
    check_version(source.file, storage)


def _may_hold_documents(key: str) -> bool:
    return PurePosixPath(key).suffix == ".json" or not key.lower().endswith(BESIDE)


def _refuse_others(key: str, location: Location) -> None:
    if key.lower().endswith((".parquet", ".parq")):
        raise SpecError(f"{location} is Parquet already, which the other jobs read: leave it out by a glob")
    if not format_of(key):
        raise SpecError(
            f"{location} is none of {', '.join(FORMATS)}: leave it out by a glob, such as 'FOLDER/*.jsonl.zst'"
        )
    refuse_odd_name(key, location)


def _split(file: Shard, by_name: dict[str, Shard]) -> str:
    """The name of its folder where that is a DatasetDict's, "" elsewhere."""
    parent = PurePosixPath(file.name).parent
    return parent.name if parent.name and str(parent.parent / SPLITS) in by_name else ""


def _is_of_its_dataset(file: Shard, by_name: dict[str, Shard], storage: Storage) -> bool:
    """False for a file that lies in a saved dataset's folder and is none of its data, such as a cache of it."""
    state = by_name.get(str(PurePosixPath(file.name).parent / STATE))
    return state is None or PurePosixPath(file.name).name in _data_files(state, storage)


def _data_files(state: Shard, storage: Storage) -> Sequence[str]:
    location = locate(state.uri, storage)
    try:
        told: Any = json.loads(location.read())
        return [str(one["filename"]) for one in told["_data_files"]]
    except (ValueError, KeyError, TypeError):
        raise SpecError(
            f"{location} names no data files, as that of a folder by datasets.save_to_disk does: save it again"
        ) from None


def read_batches(reader: io.BufferedReader) -> pa.RecordBatchReader:
    """The record batches of an Arrow file, of either format: that of random access begins like a stream, 8 bytes on."""
    if reader.peek(8)[:6] == b"ARROW1":
        reader.read(8)
    return pa.ipc.open_stream(reader)
