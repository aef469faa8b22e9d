"""Whatever else fsspec knows (http, gs, az, hf, memory, ...): listed and read, never written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.fs

from pipelines.errors import SpecError
from pipelines.store.entry import Entry

VERSIONS = (
    *("ETag", "etag", "md5Hash", "content_md5", "blob_id"),
    *("mtime", "LastModified", "last_modified", "updated", "modified"),
)
"""What the file systems of fsspec call that which changes with a file, the surest first."""


class Elsewhere:
    """A store to read from (``pipelines.store.entry.Store``)."""

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol

    def entries(self, root: str, prefix: str) -> Iterator[Entry]:
        """Every file under the root whose key begins with the prefix, folder by folder."""
        fs = self.filesystem()
        folder = f"{fs._strip_protocol(root).rstrip('/')}/"
        for _, _, files in fs.walk(root, detail=True):
            for path, facts in sorted((facts["name"], facts) for facts in files.values()):
                key = path[len(folder) :]
                if path.startswith(folder) and key.startswith(prefix):
                    # A web page of links knows no sizes: the file itself does.
                    yield _entry(key, facts if facts.get("size") is not None else fs.info(path))

    def stat(self, path: str) -> Entry | None:
        """The file at this path, or None."""
        try:
            facts = self.filesystem().info(path)
        except FileNotFoundError:
            return None
        # What follows a question mark is no name, and may be a signature that nobody should see.
        name = path.partition("?")[0] if self._protocol in ("http", "https") else path
        return _entry(name.rpartition("/")[2], facts) if facts["type"] == "file" else None

    def read(self, path: str) -> tuple[bytes, str]:
        """Bytes and version."""
        fs = self.filesystem()
        return fs.cat_file(path), _entry("", fs.info(path)).version

    def put(self, root: str, key: str, data: bytes) -> Entry:
        """Refused: SpecError."""
        raise self._refusal()

    def put_written(self, root: str, key: str, write: Callable[[Path], None]) -> Entry:
        """Refused: SpecError."""
        raise self._refusal()

    def put_if(self, root: str, key: str, data: bytes, version: str | None) -> str:
        """Refused: SpecError."""
        raise self._refusal()

    def remove(self, root: str, keys: Iterable[str]) -> None:
        """Refused: SpecError."""
        raise self._refusal()

    def sweep(self, root: str, min_age_seconds: float) -> None:
        """Refused: SpecError."""
        raise self._refusal()

    def check(self, path: str) -> None:
        """FileNotFoundError, or what else is wrong."""
        self.filesystem().info(path)

    def filesystem(self) -> Any:
        """fsspec's file system of this protocol; SpecError if it isn't known, or not installed."""
        try:
            return fsspec.filesystem(self._protocol, use_listings_cache=False)
        except (ValueError, ImportError) as error:
            raise SpecError(f"{self._protocol}:// can't be read: {str(error).splitlines()[0]}") from error

    def arrow(self, path: str) -> tuple[Any, str]:
        """fsspec's file system, as pyarrow sees it."""
        fs = self.filesystem()
        return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fs)), path

    def _refusal(self) -> SpecError:
        return SpecError(f"{self._protocol}:// is read only: write to a folder or to s3://BUCKET/PATH")


def _entry(key: str, facts: dict[str, Any]) -> Entry:
    """Size and version of what fsspec knows; a server that tells neither is trusted never to change a file."""
    version = next((str(facts[name]) for name in VERSIONS if facts.get(name)), "")
    return Entry(key, int(facts.get("size") or 0), version.strip('"'))
