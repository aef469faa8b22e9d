"""The corpus: which Parquet files it is made of, and what their footers say."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.utils import glob_translate

from pipelines.errors import ShardError, SpecError, StoreError
from pipelines.spec import Storage
from pipelines.store.columns import plain_schema
from pipelines.store.failures import explain, is_outside, is_parquet
from pipelines.store.formats import OTHERS, conversion
from pipelines.store.location import Entry, Location, locate

BESIDE = (".md", ".json", ".crc", ".html", ".pdf")
"""Suffixes of files that lie beside the shards of many corpora and hold no documents."""

NEAR_BYTES, FAR_BYTES = 2**20, 2**22
"""Bytes of a column read at a time, from a disk and from where each request takes its 30 ms."""

MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Shard:
    """One input Parquet file in one version. ``name`` is its path under the corpus, ``uri`` where it is."""

    name: str
    uri: str
    size: int
    version: str

    @cached_property
    def shard_id(self) -> str:
        """Hash of what identifies it (name, size, version): 16 hexadecimal digits."""
        identity = f"{self.name}\0{self.size}\0{self.version}"
        return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True)
class Footer:
    """What a shard's footer says. ``schema`` is as ``read_slices`` gives it: dictionaries and views unwound."""

    num_rows: int
    schema: pa.Schema
    num_row_groups: int


def list_shards(documents: str | list[str], storage: Storage = Storage()) -> list[Shard]:
    """The shards that files, folders (recursively) and globs hold, in order of their names.

    Names that begin with "_" or "." are passed over, as are files that never hold documents (README.md). SpecError
    where there is nothing, or what is there is no Parquet by its name, or can't be reached.
    """
    shards = list_files(documents, storage, lambda key: not key.lower().endswith(BESIDE), _refuse_others)
    if not shards:
        roots = [documents] if isinstance(documents, str) else documents
        raise SpecError(f"there is no Parquet file in {', '.join(roots) or 'an empty list'}: name a file or a folder")
    return shards


def list_files(
    named: str | list[str],
    storage: Storage,
    is_wanted: Callable[[str], bool],
    refuse: Callable[[str, Location], None],
) -> list[Shard]:
    """The files that paths, folders (recursively) and globs name, in order of their names.

    Of folders and globs those whose key ``is_wanted`` are taken, but none whose name begins with "_" or ".".
    ``refuse`` raises where a file (key, location) may not be taken. SpecError where two would have one name.
    """
    files: dict[str, Shard] = {}
    for root in dict.fromkeys([named] if isinstance(named, str) else named):
        for location, entry in _files_of(root, storage, is_wanted):
            refuse(entry.key, location)
            file = Shard(entry.key, location.uri, entry.size, entry.version)
            other = files.setdefault(file.name, file)
            if other.uri != file.uri:
                raise SpecError(
                    f"{locate(other.uri)} and {locate(file.uri)} would both be shard {file.name!r}: name the folder "
                    "that holds both, so that their paths tell them apart"
                )
    return [files[name] for name in sorted(files)]


def read_footer(shard: Shard, storage: Storage = Storage()) -> Footer:
    """The footer; ShardError if the file is no Parquet, is truncated or gone."""
    with open_shard(shard, storage) as file:
        return Footer(file.metadata.num_rows, plain_schema(file.schema_arrow), file.metadata.num_row_groups)


def read_footers(
    shards: Iterable[Shard],
    storage: Storage = Storage(),
    threads: int = 64,
    on_progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Footer | ShardError]:
    """Footer, or what is wrong with the shard, by shard_id. ``on_progress`` is told how many are done."""
    with ThreadPoolExecutor(threads, "footers") as pool:
        waiting = {pool.submit(_footer_or_error, shard, storage): shard.shard_id for shard in shards}
        try:
            return dict(_gathered(waiting, on_progress))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def open_shard(shard: Shard, storage: Storage = Storage()) -> Iterator[pq.ParquetFile]:
    """The shard, opened for a stream of batches in little memory.

    Within the context whatever is wrong with its bytes becomes ShardError, and with the world StoreError.
    """
    check_version(shard, storage)
    location = locate(shard.uri, storage)
    buffer_size = NEAR_BYTES if location.is_local else FAR_BYTES
    try:
        filesystem, path = location.arrow()
        with filesystem.open_input_file(path) as source:
            yield pq.ParquetFile(source, pre_buffer=False, buffer_size=buffer_size, arrow_extensions_enabled=False)
    except Exception as error:
        if is_parquet(error):
            raise ShardError(f"{shard.name} can't be read as Parquet: {explain(error)}") from error
        if is_outside(error):
            raise StoreError(f"{shard.name}: {explain(error)}") from error
        raise


def check_version(shard: Shard, storage: Storage) -> None:
    """ShardError unless the shard is there, and is what it was when it was listed."""
    there = locate(shard.uri, storage).stat()
    if there is None:
        raise ShardError(f"{shard.name} was removed after it was listed: run again")
    if (there.size, there.version) != (shard.size, shard.version):
        raise ShardError(f"{shard.name} was changed after it was listed: run again, and its new version is taken")


def _footer_or_error(shard: Shard, storage: Storage) -> Footer | ShardError:
    try:
        return read_footer(shard, storage)
    except ShardError as error:
        return error


def _gathered(waiting: dict[Any, str], on_progress: Callable[[int], None]) -> Iterator[tuple[str, Footer | ShardError]]:
    for done, future in enumerate(as_completed(waiting), 1):
        yield waiting[future], future.result()
        on_progress(done)


def _files_of(root: str, storage: Storage, is_wanted: Callable[[str], bool]) -> Iterator[tuple[Location, Entry]]:
    location = locate(root, storage)
    if MAGIC.search(str(location)) and not (location.is_local and os.path.exists(location.path)):
        yield from _matching(location, is_wanted)
        return
    location.check()
    alone = location.stat()
    if alone:
        yield location, alone
        return
    for entry in location.list():
        if not _is_hidden(entry.key) and is_wanted(entry.key):
            yield location.join(entry.key), entry


def _matching(location: Location, is_wanted: Callable[[str], bool]) -> Iterator[tuple[Location, Entry]]:
    """Files that match a glob, or lie in a folder that does. Only what begins like the glob is listed."""
    magic = MAGIC.search(location.uri)
    assert magic is not None
    folder, _, start = location.uri[: magic.start()].rpartition("/")
    base = locate(folder or "/", location.storage)
    pattern = re.compile(glob_translate(location.uri[len(folder) + 1 :]))
    base.check()
    for entry in base.list(start):
        parts = entry.key.split("/")
        above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
        matches = pattern.match(entry.key) or any(map(pattern.match, above))
        if matches and not _is_hidden(entry.key) and is_wanted(entry.key):
            yield base.join(entry.key), entry


def _is_hidden(key: str) -> bool:
    return any(part.startswith(("_", ".")) for part in key.split("/"))


def _refuse_others(name: str, location: Location) -> None:
    if name.lower().endswith(OTHERS):
        command = conversion(location)
        raise SpecError(
            f"{location} is no Parquet file: leave it out by a glob such as FOLDER/*.parquet; "
            + (f"what converts it: {command}" if command else "convert or unpack it with what wrote it")
        )
    refuse_odd_name(name, location)


def refuse_odd_name(name: str, location: Location) -> None:
    """SpecError for a file whose name is no UTF-8: ids and tables can't hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise SpecError(f"the name of {location.uri!a} is no UTF-8: rename the file") from None
