"""Who holds a lease: a process, told apart from every other one that ever ran on any host."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")
# psutil computes a start time from the time of boot, which moves as the clock is corrected.
SAME_START_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A process. Its number counts only on its host, since its boot, in its container, from its start on."""

    host: str
    boot: str
    pid_namespace: str
    pid: int
    started: float
    """Seconds since 1970 by the host's clock."""

    def is_alive_here(self) -> bool | None:
        """Whether the process lives; None where that can't be told from here.

        That is elsewhere, in another container, or before this host was last started: two hosts may bear one name.
        """
        here = this_process()
        if (self.host, self.boot, self.pid_namespace) != (here.host, here.boot, here.pid_namespace):
            return None
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < SAME_START_SECONDS
            return same and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_process() -> Owner:
    """The process that calls."""
    pid = os.getpid()
    return Owner(
        host=socket.gethostname(),
        boot=_boot(),
        pid_namespace=os.readlink(PID_NAMESPACE) if PID_NAMESPACE.is_symlink() else "",
        pid=pid,
        started=psutil.Process(pid).create_time(),
    )


def _boot() -> str:
    if BOOT_ID.exists():
        return BOOT_ID.read_text().strip()
    return str(round(psutil.boot_time() / 60))  # macOS: corrected with the clock, so in minutes
