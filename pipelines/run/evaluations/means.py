"""What an evaluation runs with: pools, and how it gets at Ray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.spec import EncodePool, TokenizePool

if TYPE_CHECKING:
    from pipelines.run.start import Pools


@dataclass(frozen=True, kw_only=True)
class Means:
    """Decides the speed alone."""

    cpu: TokenizePool = TokenizePool()
    gpu: EncodePool = EncodePool()
    user_code: str = ""
    begin: Callable[..., Pools]
    """Starts Ray for a run over texts that has something to do, and places its actors: of ``cpu``, and of ``gpu`` where
    some encode. It is ``jobs.entry.start`` with a cluster."""
    join: Callable[[], None]
    """Starts Ray, or joins the cluster, where that has not been done."""
