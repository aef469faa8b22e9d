"""How many actors of which size a run gets that has no network: readers, makers of instances, writers.

The makers do nearly all of the work, each on one core, so that there is one for each core. What Ray counts for them is
what readers and writers leave.
"""

from __future__ import annotations

import math
from dataclasses import replace

from pipelines.errors import SpecError
from pipelines.run.cluster import ClusterResources
from pipelines.run.placement import Actors, Placement, waits_for
from pipelines.run.sizing import MOST_THREADS, ModelSize, Sizing
from pipelines.spec import EncodePool, TokenizePool

READ, WRITE, GRAIN = 0.5, 0.25, 0.25  # CPUs of a reader, of a writer, and steps of those of a maker
HELPERS = READ + WRITE
SLICES_UNDER_WAY = 4  # a maker: one in work, others on their way in and out


def place_makers(
    resources: ClusterResources, cpu: TokenizePool, *, num_slices: int, slice_bytes: int = 32 * 2**20
) -> Placement:
    """The placement for a cluster and the makers' settings; SpecError with the sum and the remedy where there is none.

    The makers stand in the tokenizers' place, there are no encoders. As in ``place``, the most actors bound the pool
    where the size is "auto", and are their number where it is set too.
    """
    nodes = (*resources.nodes, *resources.to_come)
    sizing = Sizing(cpu=cpu, gpu=EncodePool(), model=ModelSize(num_parameters=0), nodes=nodes)
    if not sizing.total_cpus:
        raise SpecError(
            f"the cluster has no CPU to give ({resources}): add a node with CPUs, or start the head with some"
        )
    is_fixed = cpu.max_actors != "auto" and cpu.num_cpus != "auto"
    wanted = int(sizing.total_cpus) if cpu.max_actors == "auto" else cpu.max_actors
    most = wanted if is_fixed else max(1, min(wanted, int(sizing.total_cpus), num_slices))
    placement = _largest(sizing, most, is_fixed)
    if not placement.fits(nodes):
        raise SpecError(
            f"{placement} may find no place on {resources}: lower cpu.max_actors or cpu.num_cpus, or leave them at auto"
        )
    bound = max(slice_bytes * SLICES_UNDER_WAY * most, 2**28)
    store = sum(node.object_store_bytes for node in nodes)
    bound = min(bound, int(store / 2)) if store else bound
    return replace(placement, object_store_bytes=bound, waits_for=waits_for(placement, resources))


def _largest(sizing: Sizing, most: int, is_fixed: bool) -> Placement:
    """The placement with the most makers that fits, and then of the largest size, else the one that was tried last."""
    makers = most
    while True:
        for cpus in _sizes(sizing, makers):
            placement = _with(sizing, makers, cpus)
            if placement.fits(sizing.nodes):
                return placement
        if makers == 1 or is_fixed:
            return placement
        makers = min(makers - 1, math.floor(makers * 0.98))


def _sizes(sizing: Sizing, makers: int) -> list[float]:
    """CPUs that a maker may take, the largest first: at most an even share of what readers and writers leave."""
    if sizing.cpu.num_cpus != "auto":
        return [float(sizing.cpu.num_cpus)]
    grain = GRAIN * sizing.unit
    left = sizing.total_cpus - math.ceil(makers / MOST_THREADS) * HELPERS * sizing.unit
    return [grain * number for number in range(max(1, math.floor(min(1.0, left / makers) / grain + 1e-9)), 0, -1)]


def _with(sizing: Sizing, makers: int, cpus: float) -> Placement:
    """The placement with so many makers of this size, whether it fits or not."""
    helpers = math.ceil(makers / MOST_THREADS)
    return Placement(
        read_tasks=helpers, read_cpus=READ * sizing.unit, tokenize_actors=makers, tokenize_cpus=cpus,
        encode_actors=Actors(0, 0, 0), encode_cpus=0.0, encode_gpus=0.0, num_threads=1, write_actors=helpers,
        write_cpus=WRITE * sizing.unit, object_store_bytes=0,
    )  # fmt: skip
