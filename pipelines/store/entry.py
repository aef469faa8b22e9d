"""What every kind of store says of its files, and asks of whoever writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """One file. ``key`` is its path under the location that listed it; ``version`` changes whenever its bytes do."""

    key: str
    size: int
    version: str
    modified: float = field(default=0.0, compare=False)
    """When it was written, in seconds since 1970 by the store's clock; 0: not told."""


class Conflict(Exception):
    """A conditional put was refused: somebody else wrote the file in between."""


class Store(Protocol):
    """Files by path. Paths are absolute, "/a/b" on a disk and "bucket/a/b" on S3; ``root`` is a location's."""

    def entries(self, root: str, prefix: str) -> Iterator[Entry]:
        """Every file under the root whose key begins with the prefix, keys relative to the root; none if no root."""
        ...

    def stat(self, path: str) -> Entry | None:
        """The file at this path, or None. Its key is the last component."""
        ...

    def read(self, path: str) -> tuple[bytes, str]:
        """Bytes and version; FileNotFoundError."""
        ...

    def put(self, root: str, key: str, data: bytes) -> Entry:
        """Write the file whole, or not at all."""
        ...

    def put_written(self, root: str, key: str, write: Callable[[Path], None]) -> Entry:
        """Have a file written at a path of this machine, and publish it whole, or not at all."""
        ...

    def put_if(self, root: str, key: str, data: bytes, version: str | None) -> str:
        """Write the file if it has this version still (None: if it isn't there); its new version, or Conflict."""
        ...

    def remove(self, root: str, keys: Iterable[str]) -> None:
        """Remove the files that are there."""
        ...

    def sweep(self, root: str, min_age_seconds: float) -> None:
        """Clear away what puts that were killed have left under the root, older than this."""
        ...

    def check(self, path: str) -> None:
        """FileNotFoundError, or whatever else is wrong, unless there is a file or folder; gives up early."""
        ...

    def filesystem(self) -> Any:
        """The fsspec file system."""
        ...

    def arrow(self, path: str) -> tuple[Any, str]:
        """The pyarrow file system for bulk reads, and the path in it."""
        ...
