"""What was computed once on this machine and is worth keeping: small records under the cache folder."""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

SEAL_BYTES = 32
"""Each record begins with the SHA-256 of the rest, so that one which was cut off or damaged counts as none."""


def cache_folder() -> Path:
    """Where models fetched and records are kept on this machine: $MANTA_CACHE, otherwise ~/.cache/manta."""
    return Path(os.environ.get("MANTA_CACHE") or "~/.cache/manta").expanduser().absolute()


def kept(kind: str, key: str, compute: Callable[[], bytes], *, keep: bool = True) -> bytes:
    """The record of this kind under the key, otherwise a computed one, which is kept from then on.

    A record that can't be read counts as none, and one that can't be written is done without.
    """
    record = cache_folder() / kind / hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32]
    found = _read(record)
    if found is None:
        found = compute()
        if keep:
            _write(record, found)
    return found


def _read(record: Path) -> bytes | None:
    try:
        data = record.read_bytes()
    except OSError:
        return None
    seal, content = data[:SEAL_BYTES], data[SEAL_BYTES:]
    return content if hashlib.sha256(content).digest() == seal else None


def _write(record: Path, content: bytes) -> None:
    aside = record.with_name(f"{record.name}.{uuid.uuid4().hex}")
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(hashlib.sha256(content).digest() + content)
        aside.replace(record)
    except OSError as error:
        log.info("a record of %s is not kept (%s): it is computed again next time", record.parent.name, error)
