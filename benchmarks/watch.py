"""Run a command and watch what it takes: the private memory of all its processes by role, shared memory, time.

Private memory is USS, what the machine would have back if the process ended; it may be added up over processes. What
Ray's object store holds is shared by many of them and counted apart, once.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

IDLE = ("ray::IDLE", "idle worker")


@dataclass
class Watched:
    """What a command took. ``first_file_seconds`` is the time until the first Parquet file lay under its output."""

    seconds: float = 0.0
    first_file_seconds: float = float("nan")
    total_private_bytes: int = 0
    """Most private memory of the whole process tree at any one sample."""
    object_store_bytes: int = 0
    """Most shared memory that one process of the tree had touched."""
    private_bytes: dict[int, int] = field(default_factory=dict)
    """Most private memory of each process."""
    roles: dict[int, str] = field(default_factory=dict)
    """What each process was, by the title it bore last when it was not idle."""

    def by_role(self) -> dict[str, list[int]]:
        """Peaks of the processes of each role, largest first."""
        peaks = defaultdict(list)
        for pid, size in self.private_bytes.items():
            peaks[self.roles[pid]].append(size)
        return {role: sorted(sizes, reverse=True) for role, sizes in sorted(peaks.items())}


def watch(command: Sequence[str], output: Path, log: Path, interval_seconds: float = 0.5) -> Watched:
    """Run a command to its end, what it says into a log; RuntimeError with the log's end if it fails."""
    watched, begin = Watched(), time.perf_counter()
    with log.open("w") as words, subprocess.Popen(command, stdout=words, stderr=subprocess.STDOUT) as process:
        while process.poll() is None:
            _sample(psutil.Process(process.pid), watched)
            if not watched.first_file_seconds > 0 and any(output.rglob("*.parquet")):
                watched.first_file_seconds = time.perf_counter() - begin
            time.sleep(interval_seconds)
    watched.seconds = time.perf_counter() - begin
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text()[-2000:]}")
    return watched


def _sample(root: psutil.Process, watched: Watched) -> None:
    total = 0
    try:
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            memory, title = process.memory_full_info(), process.cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it ended between the listing and the look at it
        total += memory.uss
        watched.private_bytes[process.pid] = max(memory.uss, watched.private_bytes.get(process.pid, 0))
        watched.object_store_bytes = max(watched.object_store_bytes, shared_bytes(process.pid))
        role = "driver" if process.pid == root.pid else role_of(title)
        if role != IDLE[1] or process.pid not in watched.roles:
            watched.roles[process.pid] = role
    watched.total_private_bytes = max(total, watched.total_private_bytes)


def shared_bytes(pid: int) -> int:
    """Shared memory that a process has touched (RssShmem: what it maps of the object store); 0 where Linux is not."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0  # ended, or another system
    found = re.search(r"^RssShmem:\s*(\d+) kB", status, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def role_of(title: Sequence[str]) -> str:
    """What a process of Ray is, from its command line: an actor's or a task's innermost name, or the program's."""
    first = title[0] if title else ""
    if first.startswith(IDLE[0]) or not first:
        return IDLE[1]
    if first.startswith("ray::"):
        names = re.findall(r"[A-Za-z_]\w*", first.removeprefix("ray::").split(".")[0])
        return names[-1] if names else IDLE[1]
    program = Path(first.split()[0]).name
    script = next((Path(word).name for word in title[1:] if word.endswith(".py")), "")
    return f"{program} {script}".strip()
