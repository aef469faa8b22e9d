"""How a stage gets its actors: so many, of such a size, one slice a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray.data import ActorPoolStrategy, Dataset


@dataclass(frozen=True, kw_only=True)
class ActorPool:
    """Actors of one stage: how many it needs, may have and asks for at once, and what each takes of a node."""

    min: int = 1
    max: int = 1
    initial: int = 1
    num_cpus: float = 1.0
    num_gpus: float = 0.0


def on_slices(slices: Dataset, actor: type, pool: ActorPool, **arguments: Any) -> Dataset:
    """Each slice through one call of an actor born with ``arguments``.

    A batch of one row is one slice, also on GPU stages, which Ray gives whole batches only. Two calls an actor overlap
    the way in and out with the work, which itself is done one call at a time.
    """
    return slices.map_batches(
        actor,
        fn_constructor_kwargs=arguments,
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=pool.num_cpus,
        num_gpus=pool.num_gpus or None,
        compute=ActorPoolStrategy(
            min_size=pool.min, max_size=pool.max, initial_size=pool.initial, max_concurrent_calls_per_actor=2
        ),
    )
