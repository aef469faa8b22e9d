"""SHA-256 of files, computed once: a digest is kept in the cache folder until the file changes."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

# A file may change twice within one tick of its clock, so the digest of one that has only just changed is not kept.
SETTLED_SECONDS = 2.0


def cache_folder() -> Path:
    """Where models fetched and digests are kept on this machine: $MANTA_CACHE, otherwise ~/.cache/manta."""
    return Path(os.environ.get("MANTA_CACHE") or "~/.cache/manta").expanduser().absolute()


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
    """The digest kept under the key, otherwise a computed one, which is kept from then on.

    A record that can't be read counts as none, and one that can't be written is done without.
    """
    record = cache_folder() / "digests" / hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32]
    found = _read(record)
    if found is None:
        found = compute()
        if keep:
            _write(record, found)
    return found


def _read(record: Path) -> str | None:
    try:
        digest = json.loads(record.read_bytes())["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = isinstance(digest, str) and len(digest) == 64 and set(digest) <= set("0123456789abcdef")
    return digest if whole else None


def _write(record: Path, digest: str) -> None:
    aside = record.with_name(f"{record.name}.{uuid.uuid4().hex}")
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps({"sha256": digest}))
        aside.replace(record)
    except OSError as error:
        log.info("the digest of a model file is not kept (%s): it is computed again next time", error)
