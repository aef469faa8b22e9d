"""Where a run gets its actors: what the cluster has, whether it reaches everything, how Ray Data is set for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pipelines.run.cluster import ClusterResources, cluster_resources
from pipelines.run.placement import Placement, place
from pipelines.run.prepare.maker_placement import place_makers
from pipelines.run.prospects.sampled_apart import take_sample_apart
from pipelines.run.reach import require_shared
from pipelines.run.sizing import ModelSize
from pipelines.run.streaming import set_streaming
from pipelines.run.trunk import Run
from pipelines.spec import EncodePool, TokenizePool
from pipelines.stages.actors import ActorPool


@dataclass(frozen=True, kw_only=True)
class Pools:
    """What each stage gets."""

    placement: Placement
    label_selector: Mapping[str, str] = field(default_factory=dict)
    """Labels of the nodes that tasks beside the stages keep to, too; {}: any."""

    @property
    def read(self) -> dict[str, Any]:
        """How many read tasks at once, and the logical CPUs of each."""
        return {"num_tasks": self.placement.read_tasks, "num_cpus": self.placement.read_cpus}

    @property
    def tokenize(self) -> ActorPool:
        """The tokenizers."""
        return _fixed(self.placement.tokenize_actors, self.placement.tokenize_cpus)

    @property
    def make(self) -> ActorPool:
        """The makers of instances: they begin with those that are there."""
        actors = self.placement.tokenize_actors
        return ActorPool(min=1, max=actors, initial=actors, num_cpus=self.placement.tokenize_cpus)

    @property
    def encode(self) -> ActorPool:
        """The encoders."""
        actors, place = self.placement.encode_actors, self.placement
        return ActorPool(
            min=actors.min, max=actors.max, initial=actors.initial,
            num_cpus=place.encode_cpus, num_gpus=place.encode_gpus,
        )  # fmt: skip

    @property
    def num_threads(self) -> int:
        """Threads of an encoder's network on a CPU."""
        return self.placement.num_threads

    @property
    def write(self) -> ActorPool:
        """The writers."""
        return _fixed(self.placement.write_actors, self.placement.write_cpus)


def _fixed(size: int, num_cpus: float) -> ActorPool:
    return ActorPool(min=size, max=size, initial=size, num_cpus=num_cpus)


def pools_for(run: Run, cpu: TokenizePool, gpu: EncodePool | None) -> Pools:
    """The placement of a run on the cluster that Ray has joined, which is set for it. ``gpu`` None: nothing encodes.

    Raises SpecError where the request can't be placed, or where nodes don't see the same local folders.
    """
    resources = cluster_resources().beside_training
    ground = run.ground
    placement = _place(run, resources, cpu, gpu)
    require_shared(output=ground.output.path if ground.output.is_local else "", inputs=ground.local_inputs)
    set_streaming(placement.object_store_bytes, resources)
    if gpu is not None:
        sampling = partial(take_sample_apart, labels=resources.label_selector)
        run.foresight.begin(ground, run.plan, gpu, placement, sampling)
    return Pools(placement=placement, label_selector=resources.label_selector)


def _place(run: Run, resources: ClusterResources, cpu: TokenizePool, gpu: EncodePool | None) -> Placement:
    num_slices, slice_bytes = run.plan.num_slices, run.ground.slice_bytes
    if gpu is None:
        return place_makers(resources, cpu, num_slices=num_slices, slice_bytes=slice_bytes)
    size = ModelSize(num_parameters=num_parameters(run.ground.recipe.folder().config))
    return place(resources, cpu, gpu, size, num_slices=num_slices, slice_bytes=slice_bytes)


def num_parameters(config: Mapping[str, Any]) -> int:
    """Parameters of a transformer's layers, the embedding tables left out, from its config.json; some 10 % off."""

    def value(*names: str) -> int:
        return next((int(config[name]) for name in names if config.get(name)), 0)

    width = value("hidden_size", "d_model", "n_embd", "dim")
    layers = value("num_hidden_layers", "num_layers", "n_layer", "n_layers")
    inner = value("intermediate_size", "d_ff", "n_inner", "hidden_dim") or 4 * width
    return layers * (4 * width * width + 2 * width * inner)
