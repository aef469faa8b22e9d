"""Workers in processes of their own, joined by gloo over loopback."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 300.0
"""Within which a worker must come to its end, also where others compute as well."""
APART_SECONDS = 60.0
"""By which workers may come to their ends apart; their last message to each other holds them together."""


def on_workers(worlds: Sequence[int], folder: Path, work: Callable[..., None]) -> None:
    """Call ``work(folder / "2")`` in two new processes that are joined, and so on for each number of workers.

    One process has its part in all of them, and each must come to its end.
    """
    codes = [worker.wait(SECONDS) for worker in started(max(worlds), _join, worlds, str(folder), work)]
    assert codes == [0] * max(worlds), f"the workers ended with {codes}; what they said is on stderr"


@dataclass
class Started:
    """A new process."""

    process: Any

    def wait(self, seconds: float = SECONDS) -> int:
        """Its exit code, or the signal that killed it as a negative number."""
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.kill()
            raise AssertionError(f"a worker did not end within {seconds} s")
        return int(self.process.exitcode)


def started(count: int, work: Callable[..., None], *arguments: Any) -> list[Started]:
    """So many new processes, of which number n does ``work(n, *arguments)``."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(number, *arguments), daemon=True) for number in range(count)]
    for process in processes:
        process.start()
    return [Started(process) for process in processes]


def _join(rank: int, worlds: Sequence[int], folder: str, work: Callable[[Path], None]) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    for world in worlds:
        if rank < world:
            own = Path(folder, str(world))
            own.mkdir(exist_ok=True)
            dist.init_process_group("gloo", init_method=f"file://{folder}/{world}-joined", rank=rank, world_size=world)
            work(own)
            _meet(own, rank, world)
            dist.destroy_process_group()


def _meet(folder: Path, rank: int, world: int) -> None:
    """Wait for the others: gloo raises in who has not read its last message yet when the sender hangs up."""
    (folder / f"{rank}.through").touch()
    until = time.monotonic() + APART_SECONDS
    while len(list(folder.glob("*.through"))) < world:
        assert time.monotonic() < until, f"of {world} workers not all came to the end of {folder}"
        time.sleep(0.01)
