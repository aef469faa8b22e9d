"""Child processes that do what this one must not: lose its privileges, or die."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable

from pipelines.schema import SliceHeader
from pipelines.stages.attempts import Attempts

NOBODY = 65534


def forked(work: Callable[[], object]) -> int:
    """Do this in a child; its exit code, or the signal that killed it as a negative number."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
    return child.exitcode or 0


def as_nobody(work: Callable[[], object]) -> None:
    """Do this in a child whose user is not root, to whom everything is allowed."""

    def drop_and_work() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        work()

    assert forked(drop_and_work) == 0


def kill_myself() -> None:
    """End this process as the kernel does where memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def die(attempts: Attempts, stage: str, header: SliceHeader, *rows: int) -> None:
    """A process begins an attempt at a slice, works on these rows, and dies."""

    def attempt() -> None:
        with attempts.begin(stage, header) as begun:
            for row in rows:
                begun.note(row)
            kill_myself()

    assert forked(attempt) == -signal.SIGKILL
