"""Where bytes are: the one place that reads a URI, and the door to whatever is behind it.

A ``Location`` names a folder or a file by its URI and travels between processes; each process opens its own
connections. Failures of the world outside become StoreError, wrong requests SpecError, each in one line.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipelines.errors import SpecError, StoreError
from pipelines.spec import Storage
from pipelines.store.disk import Disk
from pipelines.store.elsewhere import Elsewhere
from pipelines.store.entry import Conflict, Entry, Store
from pipelines.store.failures import code_of, explain, is_outside

__all__ = ["Conflict", "Entry", "Location", "locate"]

PROTOCOL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/|$)")
COPY_BYTES = 16 * 2**20
ALMOST = re.compile(r"(s3a?|https?|file|gs|gcs|az|abfss?|hf|hdfs):(?!//)")


@dataclass(frozen=True)
class Location:
    """A folder or a file. ``uri`` is an absolute path on a disk, PROTOCOL://... elsewhere; no slash at its end.

    Keys are paths under it, parted by "/". "" is the location itself.
    """

    uri: str
    storage: Storage = Storage()

    @property
    def protocol(self) -> str:
        """Which store: "file", "s3", or another that fsspec knows."""
        found = PROTOCOL.match(self.uri)
        return found[1] if found else "file"

    @property
    def is_local(self) -> bool:
        """Whether it is on a disk of this machine (or one that is mounted here)."""
        return self.protocol == "file"

    @property
    def path(self) -> str:
        """The path within its store: "/a/b" on a disk, "bucket/a/b" on S3."""
        return self.uri.removeprefix("s3://")

    def __str__(self) -> str:
        return self.uri.split("?", 1)[0] if self.protocol in ("http", "https") else self.uri

    def join(self, *names: str) -> Location:
        """The location of this path under it."""
        return Location("/".join([self.uri.rstrip("/"), *(name.strip("/") for name in names)]), self.storage)

    def filesystem(self) -> Any:
        """The fsspec file system behind it, one a process. Its paths are those of ``path``."""
        return self._store.filesystem()

    def arrow(self, key: str = "") -> tuple[Any, str]:
        """The pyarrow file system behind it, for bulk reads, and the path in it."""
        with self._telling(key):
            return self._store.arrow(self._full(key))

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every file under the location whose key begins with the prefix, page by page; none if it isn't there."""
        with self._telling(prefix):
            yield from self._store.entries(self.path, prefix)

    def stat(self, key: str = "") -> Entry | None:
        """The file of this key, or None if there is none (or a folder)."""
        with self._telling(key):
            return self._store.stat(self._full(key))

    def read(self, key: str = "") -> bytes:
        """The file's bytes; FileNotFoundError."""
        return self.read_versioned(key)[0]

    def read_versioned(self, key: str = "") -> tuple[bytes, str]:
        """The file's bytes and the version that they are of; FileNotFoundError."""
        with self._telling(key, FileNotFoundError):
            return self._store.read(self._full(key))

    def put(self, key: str, data: bytes) -> Entry:
        """Write a file, whole or not at all, in place of one that may be there."""
        with self._telling(key):
            return self._store.put(self.path, key, data)

    def put_written(self, key: str, write: Callable[[Path], None]) -> Entry:
        """Have ``write`` make a file at a path that it is given, and publish it whole or not at all: for large files.

        It is in memory at no time. StoreError also where ``write`` raises OSError.
        """
        with self._telling(key):
            return self._store.put_written(self.path, key, write)

    def on_disk(self, key: str, folder: Path) -> Path:
        """A file where this machine can open it: itself where it is on a disk, else a copy in the folder.

        FileNotFoundError.
        """
        if self.is_local:
            return Path(self.path, key)
        copy = folder / key.rpartition("/")[2]
        with self._telling(key, FileNotFoundError):
            filesystem, path = self._store.arrow(self._full(key))
            with filesystem.open_input_stream(path) as source, copy.open("wb") as sink:
                shutil.copyfileobj(source, sink, COPY_BYTES)
        return copy

    def put_if(self, key: str, data: bytes, version: str | None) -> str:
        """Write a file if it has this version still (None: if it isn't there). The new version, or Conflict.

        Data that two writers could write alike don't tell them apart: put the writer's name into them.
        """
        with self._telling(key):
            return self._store.put_if(self.path, key, data, version)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove files; those that are not there are fine."""
        with self._telling(""):
            self._store.remove(self.path, keys)

    def sweep(self, min_age_seconds: float = 3600.0) -> None:
        """Clear away what puts that were killed have left: never a file, but room on the disk or the server."""
        with self._telling(""):
            self._store.sweep(self.path, min_age_seconds)

    def check(self) -> None:
        """SpecError in one line, within seconds, unless there is a file or folder that can be read."""
        self._check()

    def check_output(self) -> None:
        """SpecError in one line unless files can be put here. The folder itself may be missing, a bucket may not."""
        if self.protocol == "s3":
            self._check(may_be_missing=True)
        elif self.is_local:
            self._check_folder(Path(self.path))
        else:
            raise SpecError(f"{self} can't be written: outputs go to a folder or to s3://BUCKET/PATH")

    @property
    def _store(self) -> Store:
        if self.is_local:
            return Disk()
        if self.protocol != "s3":
            return Elsewhere(self.protocol)
        from pipelines.store.s3 import S3  # half a second, which every worker of a run on disks would spend in vain

        return S3(self.storage)

    def _full(self, key: str) -> str:
        return f"{self.path}/{key}" if key else self.path

    def _check(self, may_be_missing: bool = False) -> None:
        try:
            self._store.check(self.path)
        except Exception as error:
            if not is_outside(error):
                raise
            if may_be_missing and isinstance(error, FileNotFoundError) and not code_of(error):
                return
            raise SpecError(f"{self}: {explain(error)}{self._where()}") from error

    def _check_folder(self, folder: Path) -> None:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir():
            raise SpecError(f"{self} can't be a folder: {there} is a file; name another")
        if not os.access(there, os.W_OK | os.X_OK):
            raise SpecError(f"{self} can't be written: this user may not write in {there}; change its permissions")

    def _where(self) -> str:
        endpoint = self.storage.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        return f" (endpoint {endpoint})" if self.protocol == "s3" and endpoint else ""

    @contextmanager
    def _telling(self, key: str, *own: type[Exception]) -> Iterator[None]:
        """Failures of the world become StoreError, but for those that are the caller's own business."""
        try:
            yield
        except Exception as error:
            if isinstance(error, own) or not is_outside(error):
                raise
            raise StoreError(f"{self}{'/' if key else ''}{key}: {explain(error)}{self._where()}") from error


def locate(uri: str, storage: Storage = Storage()) -> Location:
    """The location that a URI or a path names; SpecError if it names none.

    Paths are taken as they are, never percent-decoded. A relative one starts at the working directory.
    """
    found = PROTOCOL.match(uri)
    protocol = found[1].lower() if found else "file"
    rest = uri[found.end() :] if found else uri
    if not rest.strip() or ALMOST.match(uri):
        raise SpecError(f"{uri!r} is no location: write a path, or PROTOCOL://..., such as s3://BUCKET/PATH")
    if protocol in ("file", "local"):
        return Location(os.path.abspath(os.path.expanduser(rest)), storage)
    if urlsplit(f"//{rest}").password:
        raise SpecError(f"a {protocol}:// location carries a password: leave it out and set it in the environment")
    if protocol in ("s3", "s3a"):
        protocol = "s3"
        if not BUCKET.match(rest):
            raise SpecError(f"{uri!r} names no bucket: write s3://BUCKET/PATH")
    return Location(f"{protocol}://{rest.rstrip('/')}", storage)
