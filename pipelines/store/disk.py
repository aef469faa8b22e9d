"""Files on a disk that this machine sees as folders: published by rename, guarded by flock."""

from __future__ import annotations

import errno
import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.fs

from pipelines.store.entry import Conflict, Entry

ASIDE = "_manta/tmp"
"""Folder under a location's root where files are written before they are moved to their place."""


class Disk:
    """The local store (``pipelines.store.entry.Store``)."""

    def entries(self, root: str, prefix: str) -> Iterator[Entry]:
        """Every file under the root whose key begins with the prefix, folder by folder in order of their names."""
        folder = prefix.rpartition("/")[0]
        for key in _walk(root, folder):
            if key.startswith(prefix) and (entry := _entry(f"{root}/{key}", key)):
                yield entry

    def stat(self, path: str) -> Entry | None:
        """The file at this path, or None."""
        return _entry(path, os.path.basename(path))

    def read(self, path: str) -> tuple[bytes, str]:
        """Bytes and version of one and the same file, also while another is put in its place."""
        with open(path, "rb") as file:
            return file.read(), str(os.fstat(file.fileno()).st_mtime_ns)

    def put(self, root: str, key: str, data: bytes) -> Entry:
        """Write aside, flush to the disk, rename. A failure or a kill leaves nothing at the key.

        A file of the same bytes stays, and with it its version, as an ETag would: who was told of it before is right.
        """
        there = _entry(f"{root}/{key}", key)
        if there and there.size == len(data) and Path(root, key).read_bytes() == data:
            _sync_folder(Path(root, key).parent)  # a killed process may have come just to the rename
            return there
        return _publish(root, key, data, time.time_ns())

    def put_written(self, root: str, key: str, write: Callable[[Path], None]) -> Entry:
        """Have it written aside, flush to the disk, rename."""
        with _aside(root) as aside:
            write(aside)
            return _move(aside, root, key, time.time_ns())

    def put_if(self, root: str, key: str, data: bytes, version: str | None) -> str:
        """Compare and put under the root's lock, which every process of every machine that sees the folder obeys."""
        with _locked(root):
            there = _entry(f"{root}/{key}", key)
            if (there.version if there else None) != version:
                raise Conflict(f"{root}/{key} has version {there and there.version}, not {version}")
            # A clock that stands still between two puts must not give two versions the same name.
            return _publish(root, key, data, max(time.time_ns(), int(version or 0) + 1)).version

    def remove(self, root: str, keys: Iterable[str]) -> None:
        """Remove files, and the folders that they leave empty."""
        for key in keys:
            path = Path(root, key)
            path.unlink(missing_ok=True)
            _prune(path.parent, Path(root))

    def sweep(self, root: str, min_age_seconds: float) -> None:
        """Remove what a killed process wrote aside and did not publish."""
        latest = time.time_ns() - int(min_age_seconds * 1e9)
        for entry in self.entries(root, f"{ASIDE}/"):
            if not entry.key.endswith("/lock") and int(entry.version) < latest:
                Path(root, entry.key).unlink(missing_ok=True)

    def check(self, path: str) -> None:
        """FileNotFoundError or PermissionError unless there is a file or a folder that can be read."""
        if os.path.isdir(path):
            os.scandir(path).close()
        else:
            open(path, "rb").close()

    def filesystem(self) -> Any:
        """fsspec's local file system."""
        return fsspec.filesystem("file")

    def arrow(self, path: str) -> tuple[Any, str]:
        """pyarrow's local file system."""
        return pyarrow.fs.LocalFileSystem(), path


def _walk(root: str, folder: str) -> Iterator[str]:
    try:
        with os.scandir(os.path.join(root, folder)) as found:
            items = sorted((item.name, item.is_dir() and not _leads_back(item)) for item in found)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name, is_folder in items:
        key = f"{folder}/{name}" if folder else name
        if is_folder:
            yield from _walk(root, key)
        else:
            yield key


def _leads_back(item: os.DirEntry[str]) -> bool:
    """Whether a link leads to a folder above itself, where a walk would go round for ever."""
    if not item.is_symlink():
        return False
    target = os.path.realpath(item.path)
    return os.path.commonpath([target, os.path.realpath(os.path.dirname(item.path))]) == target


def _entry(path: str, key: str) -> Entry | None:
    try:
        facts = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if os.path.isdir(path) else Entry(key, facts.st_size, str(facts.st_mtime_ns), facts.st_mtime)


def _publish(root: str, key: str, data: bytes, mtime_ns: int) -> Entry:
    with _aside(root) as aside:
        aside.write_bytes(data)
        return _move(aside, root, key, mtime_ns)


@contextmanager
def _aside(root: str) -> Iterator[Path]:
    """Where a file may be written; what is still there at the end goes."""
    aside = Path(root, ASIDE, uuid.uuid4().hex)
    aside.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield aside
    finally:
        aside.unlink(missing_ok=True)


def _move(aside: Path, root: str, key: str, mtime_ns: int) -> Entry:
    """Flush a file to the disk and move it to its place."""
    place = Path(root, key)
    with open(aside, "rb+") as file:
        os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))
        os.fsync(file.fileno())
    _rename(aside, place)
    _sync_folder(place.parent)
    facts = os.stat(place)
    return Entry(key, facts.st_size, str(facts.st_mtime_ns))


def _rename(aside: Path, place: Path) -> None:
    """Move a file to its place; its folder may be removed by ``_prune`` of another process at any moment."""
    for last in (False, False, True):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(aside, place)
            return
        except FileNotFoundError:
            if last:
                raise


def _sync_folder(folder: Path) -> None:
    """A rename outlives a power cut only once its folder is on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some mounts have no such thing
            raise
    finally:
        os.close(handle)


def _prune(folder: Path, root: Path) -> None:
    while folder != root and root in folder.parents:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                return
            raise
        folder = folder.parent


@contextmanager
def _locked(root: str) -> Iterator[None]:
    path = Path(root, ASIDE, "lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the lock goes with the file, whichever way the process ends
        yield
