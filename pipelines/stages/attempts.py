"""Attempts at slices: how many processes died at one, and at which row.

Ray does a slice again whose process died, as often as it takes. That is right where a node was lost, and never ends
where a document is to blame: one that a library crashes on, or that makes the process grow until it is killed. So each
attempt is marked by a file on its node for as long as it lasts. A mark that is left there belongs to a process that
died. It counts for the run alone that made it, so that an interrupted run is held against no document.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from pipelines.schema import SliceHeader
from pipelines.store.owner import Owner, this_process

log = logging.getLogger(__name__)

KEPT_SECONDS = 3 * 24 * 3600
"""After this time the marks of other runs are swept."""


@dataclass(frozen=True)
class Attempts:
    """The attempts of one run, each seen by the others on its node."""

    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    @contextmanager
    def begin(self, stage: str, header: SliceHeader) -> Iterator[Attempt]:
        """An attempt of a stage at a slice, marked within the context. What is done is never held against a row.

        Where there can be no marks it goes on without.
        """
        attempt = Attempt(self.run, f"{stage}-{header.shard_id}-{header.first_row}-")
        try:
            yield attempt
            attempt.forgive()
        finally:
            attempt.end()


class Attempt:
    """One attempt at a slice, and what is known of those before."""

    def __init__(self, run: str, prefix: str) -> None:
        self._mark: Path | None = None
        self._dead: list[Path] = []
        try:
            folder = _folder(run)
            self._dead = [path for path in folder.iterdir() if path.name.startswith(prefix) and _is_dead(path)]
            self._mark = _put(folder / f"{prefix}{uuid.uuid4().hex}")
        except OSError as error:
            log.info("an attempt at a slice can't be marked (%s): the slice is done all the same", error)

    @property
    def num_deaths(self) -> int:
        """Processes that died at the slice."""
        return len(self._dead)

    @property
    def suspects(self) -> Counter[int]:
        """The rows that some of them had noted, and how many of them each."""
        return Counter(int(path.suffix[1:]) for path in self._dead if path.suffix)

    def note(self, row: int) -> None:
        """From here on it is this row that is worked on. The mark's name tells it: that takes no room on a disk."""
        if self._mark is None:
            return
        try:
            self._mark = self._mark.rename(self._mark.with_suffix(f".{row}"))
        except OSError as error:
            log.info("row %d can't be noted (%s): it is worked on all the same", row, error)
            self.end()  # the row noted before must not answer for this one

    def end(self) -> None:
        """Take the mark away."""
        if self._mark is not None:
            _remove(self._mark)
        self._mark = None

    def forgive(self) -> None:
        """Take away the marks of those who died: the slice is done."""
        for path in self._dead:
            _remove(path)


def _folder(run: str) -> Path:
    """Where the marks of a run are on this node, of this user alone; OSError where that can't be."""
    own = Path(tempfile.gettempdir(), f"manta-{os.getuid()}")
    own.mkdir(mode=0o700, exist_ok=True)
    found = own.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{own} belongs to somebody else")
    folder = own / "attempts" / run
    if not folder.exists():
        _sweep(folder.parent)
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _put(path: Path) -> Path:
    """Mark that this process is at work."""
    path.write_text(_signature(os.getpid()))
    return path


@cache
def _signature(pid: int) -> str:
    """Which process this is. Asked for its own number alone: a forked one must not take its parent's signature."""
    return json.dumps(asdict(this_process()))


def _is_dead(path: Path) -> bool:
    """Whether the process that made the mark is known to be dead. The mark of a living one may go any moment."""
    try:
        return Owner(**json.loads(path.read_text())).is_alive_here() is False
    except (OSError, ValueError, TypeError):
        return False


def _sweep(attempts: Path) -> None:
    """Remove old marks, and the folders of runs that were empty for as long."""
    before = time.time() - KEPT_SECONDS
    with suppress(OSError):  # another process may be sweeping
        old = [path for path in (*attempts.glob("*/*"), *attempts.glob("*")) if path.lstat().st_mtime < before]
        for path in old:
            path.rmdir() if path.is_dir() else path.unlink()


def _remove(path: Path) -> None:
    with suppress(OSError):  # swept, or the disk went away: it is not needed any more
        path.unlink()
