"""Which documents of a run are copies: told by all shards before any is worked on, and never told otherwise after.

Tasks publish the digests of whole shards (``pipelines.stages.digests``), the driver compares them and publishes the
rows that are copies (``pipelines.store.copies``). In order come the shards of earlier runs and then those that are new,
by name. The first of equal texts stays the first as long as its shard is in the corpus, or its parts are kept; where a
shard leaves, what was dropped elsewhere as a copy of its documents is not made anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import ray
from ray.exceptions import RayError, RayTaskError

from pipelines.errors import LeaseError, StoreError
from pipelines.run.start import Pools
from pipelines.run.streaming import shown_while_waiting
from pipelines.run.trunk import Run
from pipelines.stages.digests import put_digests
from pipelines.stages.read import Stretch, group
from pipelines.store.copies import COPIES, DIGESTS, copies_key, digests_key, list_arrays, put_array, read_array
from pipelines.text.duplicates import NONE, Digests, find_copies

AT_A_TIME = 32
"""Shards whose digests are read, or whose copies are written, at once."""
MOST_DIGESTS = 2**26
"""Digests that are compared at once: 1.6 GB."""
MOST_RETRIES = 5
"""Of a task whose process died: reading alone kills none."""

Digest = Callable[[list[list[Stretch]]], None]
"""Publishes the digests of whole shards, which come in groups for one task each."""


def find_duplicates(run: Run, pools: Pools) -> None:
    """Publish which rows of the shards that are to be done are copies, where no earlier run did."""
    look_for_duplicates(run, partial(_digest, run, pools))


def look_for_duplicates(run: Run, digest: Digest) -> None:
    """The same with ``digest`` in the place of tasks on Ray.

    Whole shards are looked at, whatever the run's limit leaves of them. A shard of weight 0 is not: none of its
    documents is taken, so that none is a copy, or the first of copies.
    """
    decided = list_arrays(run.output, COPIES).keys()
    weight = run.ground.recipe.spec.weight
    planned = {stretch.shard.shard_id: stretch.shard for stretch in run.plan.stretches if weight(stretch.shard.name)}
    new = [shard_id for shard_id in planned if shard_id not in decided]
    if not new:
        return
    run.starting("duplicates")
    shards = [*sorted(decided & _staying(run)), *new]
    there = list_arrays(run.output, DIGESTS).keys()
    digest(group(_whole(run, set(shards) - there)))
    _decide(run, shards, set(new))


def _staying(run: Run) -> set[str]:
    """The shards whose documents are in the output, or will be, when the run ends."""
    kept = run.ledger.vanished if run.ground.order.removed == "keep" else ()
    return {shard.shard_id for shard in run.ground.shards} | set(kept) | run.beyond


def _whole(run: Run, wanted: set[str]) -> list[Stretch]:
    """These shards as stretches, those alone that can be read today."""
    rows = {shard_id: facts.num_rows for shard_id, facts in run.books.shards.items() if not facts.set_aside}
    return [
        Stretch(shard=shard, first_row=0, stop_row=num_rows)
        for shard in run.ground.shards
        if shard.shard_id in wanted and (num_rows := rows.get(shard.shard_id)) is not None
    ]


def _digest(run: Run, pools: Pools, groups: list[list[Stretch]]) -> None:
    """Have tasks publish digests, as many at once, and of the size, as there will be makers."""
    size = {"num_cpus": pools.make.num_cpus, "label_selector": dict(pools.label_selector)}
    put = ray.remote(put_digests).options(**size, max_retries=MOST_RETRIES)
    under_way: list[ray.ObjectRef[None]] = []
    arrived = threading.Event()
    with shown_while_waiting(pools.placement, run.progress.waiting, arrived):
        for shards in groups:
            under_way.append(put.remote(shards, run.reading, run.output))
            if len(under_way) >= pools.make.max:
                under_way = _without_one(run, under_way)
                arrived.set()
        while under_way:
            under_way = _without_one(run, under_way)


def _without_one(run: Run, under_way: list[ray.ObjectRef[None]]) -> list[ray.ObjectRef[None]]:
    """Wait for a task to end; those that are left."""
    (done, *_), left = ray.wait(under_way, num_returns=1)
    try:
        ray.get(done)
    except RayTaskError:
        raise  # what the task itself raised
    except RayError as error:
        raise StoreError(
            f"the process that reads shards for copies died {MOST_RETRIES + 1} times ({type(error).__name__}): what "
            "kills it is told by the logs of the workers and of the system (too little memory); mend it and run again"
        ) from error
    if run.lease.lost:
        raise LeaseError(f"{run.output.uri} is no longer held by this run: {run.lease.lost}; nothing is lost")
    return left


def _decide(run: Run, shards: list[str], new: set[str]) -> None:
    """Compare the digests of these shards, in this order, and publish the copies of those that are new.

    Of the others only what was no copy is compared: so each text has one first, also after a run that was interrupted
    here, or a change of the shard that had it.
    """
    sizes = list_arrays(run.output, DIGESTS)
    shards = [shard_id for shard_id in shards if shard_id in sizes]
    num_passes = 1 + sum(sizes[shard_id] for shard_id in shards) // 8 // MOST_DIGESTS
    with ThreadPoolExecutor(AT_A_TIME, "copies") as pool:

        def read() -> Iterator[Digests]:
            for start in range(0, len(shards), AT_A_TIME):
                yield from pool.map(partial(_digests, run, new), shards[start : start + AT_A_TIME])

        found = find_copies(read, num_passes)
        run.lease.check()
        mine = [(shard_id, rows) for shard_id, rows in zip(shards, found, strict=True) if shard_id in new]
        list(pool.map(lambda one: put_array(run.output, copies_key(one[0]), one[1]), mine))


def _digests(run: Run, new: set[str], shard_id: str) -> Digests:
    digests: Digests = read_array(run.output, digests_key(shard_id))
    copies = NONE if shard_id in new else read_array(run.output, copies_key(shard_id))
    return np.delete(digests, copies)
