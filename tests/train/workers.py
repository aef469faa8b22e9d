"""Workers in processes of their own, joined by gloo over loopback."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def on_workers(world: int, folder: Path, work: Callable[..., None], *arguments: Any) -> None:
    """Call ``work(*arguments)`` in so many new processes that are joined; each must come to its end."""
    context = multiprocessing.get_context("spawn")
    about = (world, str(folder / f"joined-{world}"))
    workers = [context.Process(target=_join, args=(rank, *about, work, arguments)) for rank in range(world)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    alive = [worker for worker in workers if worker.is_alive()]
    for worker in alive:
        worker.kill()
    assert not alive
    assert [worker.exitcode for worker in workers] == [0] * world


def _join(rank: int, world: int, store: str, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    work(*arguments)
    dist.destroy_process_group()
