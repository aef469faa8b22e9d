"""How many actors of which size a run gets: sums over logical CPUs and GPUs, node by node, before anything starts.

All stages stream at once, so all of them must have a place at once: readers that fill the CPUs which an encoder waits
for would wait for it in turn, for ever. A placement is accepted only if each pool has its place whatever the order in
which Ray deals out the others, and one read task beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pipelines.errors import SpecError
from pipelines.run.cluster import ClusterResources, Node
from pipelines.run.sizing import ModelSize, Sizing
from pipelines.run.slots import Size, certain, slots
from pipelines.spec import EncodePool, TokenizePool


class Actors(NamedTuple):
    """Sizes of an actor pool: what it needs, what it may have, what is asked for at once."""

    min: int
    max: int
    initial: int


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Actors and tasks of the four stages, in Ray's logical CPUs and GPUs."""

    read_tasks: int
    """Most read tasks at a time."""
    read_cpus: float
    tokenize_actors: int
    tokenize_cpus: float
    encode_actors: Actors
    encode_cpus: float
    encode_gpus: float
    num_threads: int
    """Threads of an encoder's network on a CPU: the cores that fall to it, more than its logical CPUs."""
    write_actors: int
    write_cpus: float
    object_store_bytes: int
    """Most bytes of slices under way."""
    waits_for: str = ""
    """What the autoscaler must add before the first slice is encoded, such as "a node with 1 GPU"; "": nothing."""

    @property
    def encode_size(self) -> Size:
        """What one encode actor takes of a node."""
        return Size(self.encode_cpus, self.encode_gpus)

    @property
    def cpus(self) -> float:
        """Logical CPUs of everything at once."""
        return self.small_cpus + self.encode_actors.max * self.encode_cpus

    @property
    def small_cpus(self) -> float:
        """Logical CPUs of all but the encoders."""
        small = self.tokenize_actors * self.tokenize_cpus + self.write_actors * self.write_cpus
        return small + self.read_tasks * self.read_cpus

    def places(self, nodes: Sequence[Node]) -> dict[str, tuple[int, int]]:
        """Per stage: how many places it needs, and how many it has on the nodes whatever places the others take."""
        encode = self.encode_actors.max * self.encode_cpus
        tokenize, write = self.tokenize_actors * self.tokenize_cpus, self.write_actors * self.write_cpus
        small = self.small_cpus
        return {
            "encode": (self.encode_actors.min, certain(nodes, self.encode_size, small)),
            "tokenize": (self.tokenize_actors, certain(nodes, Size(self.tokenize_cpus), encode + small - tokenize)),
            "write": (self.write_actors, certain(nodes, Size(self.write_cpus), encode + small - write)),
            "read": (1, certain(nodes, Size(self.read_cpus), encode + tokenize + write)),
        }

    def fits(self, nodes: Sequence[Node]) -> bool:
        """Whether every stage has its place on the nodes, in whichever order Ray deals them out."""
        return all(needed <= sure for needed, sure in self.places(nodes).values())

    def __str__(self) -> str:
        size = f"{self.encode_cpus:g}" + (f" (and {self.encode_gpus:g} GPUs)" if self.encode_gpus else "")
        encode = f" + encode {self.encode_actors.max} x {size}" if self.encode_actors.max else ""
        return (
            f"read {self.read_tasks} x {self.read_cpus:g} + tokenize {self.tokenize_actors} x {self.tokenize_cpus:g}"
            f"{encode} + write {self.write_actors} x {self.write_cpus:g} = {self.cpus:g} CPUs"
        )


def place(
    resources: ClusterResources,
    cpu: TokenizePool,
    gpu: EncodePool,
    model: ModelSize,
    *,
    num_slices: int | None = None,
    slice_bytes: int = 32 * 2**20,
) -> Placement:
    """The placement for a cluster, pool settings and model; SpecError with the sum and the remedy where there is none.

    A field that is set is kept: the most actors bound a pool whose actors' size is "auto", and are its number where the
    size is set too. ``num_slices`` (None: many) bounds the encoders; ``slice_bytes`` is a slice's size on its way.
    """
    _check_hardware(resources, gpu)
    nodes = (*resources.nodes, *resources.to_come)
    sizing = Sizing(cpu=cpu, gpu=gpu, model=model, nodes=nodes)
    most = sizing.most_encoders(resources.nodes, num_slices)
    placement = _largest(sizing, most)
    if not placement.fits(nodes):
        raise SpecError(_refusal(sizing, placement, resources))
    return _settled(placement, resources, slice_bytes)


def waits_for(placement: Placement, resources: ClusterResources) -> str:
    """What is still missing for the first slice to be encoded: "a node with 1 GPU"; "" once it is there."""
    one = replace(placement, read_tasks=1, tokenize_actors=1, encode_actors=Actors(1, 1, 1), write_actors=1)
    if slots(resources.nodes, placement.encode_size) == 0:
        needs = [f"{placement.encode_gpus:g} GPU"] if placement.encode_gpus else []
        needs += [f"{placement.encode_cpus:g} CPUs"] if placement.encode_cpus else []
        return f"a node with {' and '.join(needs)}"
    return "" if one.cpus <= resources.cpus else f"{one.cpus - resources.cpus:g} more CPUs"


def _check_hardware(resources: ClusterResources, gpu: EncodePool) -> None:
    nodes = (*resources.nodes, *resources.to_come)
    if not any(node.cpus for node in nodes):
        raise SpecError(
            f"the cluster has no CPU to give ({resources}): add a node with CPUs, or start the head with some"
        )
    wants_gpu = gpu.device == "cuda" or (gpu.num_gpus != "auto" and gpu.num_gpus > 0)
    if wants_gpu and not any(node.gpus for node in nodes):
        field, least = ("device", "auto") if gpu.num_gpus == "auto" else ("num_gpus", 0)
        fact = f"EncodePool.{field} is {getattr(gpu, field)}, and no node has a GPU ({resources})"
        raise SpecError(f"{fact}: add one, or set {field} to {least}")
    if gpu.num_gpus != "auto" and gpu.num_gpus > 1 and gpu.num_gpus != int(gpu.num_gpus):
        raise SpecError(f"EncodePool.num_gpus is {gpu.num_gpus}: above 1 Ray gives whole GPUs only; round it")


def _with(sizing: Sizing, encoders: int) -> Placement:
    """The placement with so many encode actors, whether it fits or not."""
    helpers = sizing.helpers(encoders)
    small = Placement(
        read_tasks=helpers,
        read_cpus=0.5 * sizing.unit,
        tokenize_actors=0,
        tokenize_cpus=0.0,
        encode_actors=Actors(encoders if sizing.is_fixed else 1, encoders, encoders),
        encode_cpus=sizing.encode_cpus,
        encode_gpus=sizing.gpus,
        num_threads=sizing.num_threads,
        write_actors=helpers,
        write_cpus=0.25 * sizing.unit,
        object_store_bytes=0,
    )
    actors, cpus = sizing.tokenizers(small.cpus, encoders)
    return replace(small, tokenize_actors=actors, tokenize_cpus=cpus)


def _largest(sizing: Sizing, most: int) -> Placement:
    """The placement with the most encode actors that fits, else the one with a single actor.

    Fewer tokenizers go first: on fragmented nodes the sum may fit and an actor not.
    """
    encoders = most
    while encoders > 1 and not sizing.is_fixed:
        placement = _fewer_tokenizers(sizing, _with(sizing, encoders))
        if placement.fits(sizing.nodes):
            return placement
        encoders = min(encoders - 1, math.floor(encoders * 0.98))
    return _fewer_tokenizers(sizing, _with(sizing, encoders))


def _fewer_tokenizers(sizing: Sizing, placement: Placement) -> Placement:
    if sizing.cpu.max_actors != "auto" and sizing.cpu.num_cpus != "auto":
        return placement
    while placement.tokenize_actors > 1 and not placement.fits(sizing.nodes):
        placement = replace(placement, tokenize_actors=placement.tokenize_actors * 3 // 4)
    return placement


def _settled(placement: Placement, resources: ClusterResources, slice_bytes: int) -> Placement:
    """The placement with its pool sizes, its bound of bytes under way, and what it waits for."""
    nodes = (*resources.nodes, *resources.to_come)
    actors = placement.encode_actors
    sure = min(actors.max, certain(resources.nodes, placement.encode_size, placement.small_cpus))
    missing = waits_for(placement, resources)
    under_way = slice_bytes * (4 * actors.max + 2 * placement.tokenize_actors)
    store = sum(node.object_store_bytes for node in nodes)
    bound = max(under_way, 2**28) if not store else min(max(under_way, 2**28), int(store / 2))
    return replace(
        placement,
        encode_actors=Actors(max(1, sure), actors.max, actors.max),
        object_store_bytes=bound,
        waits_for=missing,
    )


def _refusal(sizing: Sizing, placement: Placement, resources: ClusterResources) -> str:
    size = placement.encode_size
    if slots(sizing.nodes, size) == 0:
        return (
            f"an encode actor takes {size.cpus:g} CPUs and {size.gpus:g} GPUs, and no node has both ({resources}):"
            " set gpu.num_cpus or gpu.num_gpus to what one node has, or leave them at auto"
        )
    short = [stage for stage, (needed, sure) in placement.places(sizing.nodes).items() if sure < needed]
    auto = replace(sizing, cpu=TokenizePool(), gpu=replace(sizing.gpu, max_actors="auto", num_cpus="auto"))
    other = _largest(auto, auto.most_encoders(sizing.nodes, None))
    remedy = f"lower max_actors or num_cpus of gpu or cpu, or leave them at auto, which takes {other}"
    return f"{placement}: {', '.join(short)} may find no place on {resources}; {remedy}"
