"""SHA-256 of files, computed once: a digest is kept in the cache folder until the file changes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from pipelines.store.cache import kept

# A file may change twice within one tick of its clock, so the digest of one that has only just changed is not kept.
SETTLED_SECONDS = 2.0


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits. Read again only after its size or times have changed."""
    stat = path.stat()
    changed_ns = max(stat.st_mtime_ns, stat.st_ctime_ns)
    key = f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}"
    settled = time.time() - changed_ns / 1e9 > SETTLED_SECONDS
    return remembered(key, lambda: content_digest(path), keep=settled)


def content_digest(path: Path) -> str:
    """SHA-256 of a file's content, always read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered(key: str, compute: Callable[[], str], *, keep: bool = True) -> str:
    """The digest kept under the key, otherwise a computed one, which is kept from then on."""
    return kept("digests", key, lambda: compute().encode(), keep=keep).decode()
