"""How a stage gets its actors: so many, of such a size, one slice a call, or a batch of anybody's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
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


@dataclass(frozen=True, kw_only=True)
class Batches:
    """How rows come to a call."""

    rows: int
    """Most that are worked on at a time."""
    keep_count: bool
    """Whether as many rows come out as go in: then ``take(3)`` brings no more than three to actors without a GPU."""


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


def on_rows(rows: Dataset, actor: type, pool: ActorPool, batches: Batches, **arguments: Any) -> Dataset:
    """Plain rows through calls of an actor born with ``arguments``, one of them ``most_rows``.

    A call gets a block, and cuts it: a limit is pushed before actors that ask for no number of rows. With a GPU they
    must ask for one.
    """
    return rows.map_batches(
        actor,
        fn_constructor_kwargs={"most_rows": batches.rows, **arguments},
        batch_size=batches.rows if pool.num_gpus else None,
        batch_format="pyarrow",
        num_cpus=pool.num_cpus,
        num_gpus=pool.num_gpus or None,
        compute=ActorPoolStrategy(min_size=pool.min, max_size=pool.max, initial_size=pool.initial),
        udf_modifying_row_count=not batches.keep_count,
    )


def in_order(rows: Dataset, label_selector: Mapping[str, str] = MappingProxyType({})) -> Dataset:
    """The dataset with its rows in their order, made on nodes with these labels. Such settings belong to a dataset and
    to those that it is made of: it gets a copy of them, or they would be settings of other people's datasets.
    """
    own = Dataset.copy(rows, _deep_copy=True)
    options = own.context.execution_options
    options.preserve_order = True
    options.label_selector = options.label_selector or dict(label_selector) or None
    return own
