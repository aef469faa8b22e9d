"""The arithmetic behind "auto": numbers and sizes of actors from pool settings, nodes and the model's size.

Rules of thumb, in tokens a second: a tokenizer makes half a million; a GPU makes 40 % of its dense peak at 2 FLOPs a
parameter, but one process can't feed it more than three million; a CPU core makes some thousands, so that there one
tokenizer serves many encoders, and nearly all CPUs are theirs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.run.chips import PEAK_FLOPS, peak_flops
from pipelines.run.cluster import Node
from pipelines.run.slots import Size, slots
from pipelines.spec import EncodePool, TokenizePool

TOKENIZER_TOKENS_PER_SECOND = 0.5e6
PROCESS_TOKENS_PER_SECOND = 3e6
PEAK_SHARE = 0.4
MOST_THREADS = 8  # of one encoder: small matrices gain little from more, and an actor then stays on one socket
CPUS_A_HELPER = 8  # a reader and a writer for so many CPUs at most, where GPUs encode
SLICES_A_NODE_IS_WORTH = 4  # an autoscaler is asked for a further actor's place only for this many slices


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """What a placement must know of a model."""

    num_parameters: int
    """Parameters that each token passes, the embedding tables left out."""


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """The settings, the nodes there are or may come, and the numbers that follow."""

    cpu: TokenizePool
    gpu: EncodePool
    model: ModelSize
    nodes: tuple[Node, ...]

    @property
    def is_fixed(self) -> bool:
        """Whether the encoders' number and size are both told: then they are a demand, not a bound."""
        sized = self.gpu.num_cpus != "auto" or self.gpu.num_gpus not in ("auto", 0)
        return self.gpu.max_actors != "auto" and sized

    @property
    def total_cpus(self) -> float:
        """Logical CPUs of all nodes."""
        return sum(node.cpus for node in self.nodes)

    @property
    def host_cpus(self) -> float:
        """CPUs of the kind of node that most of the cluster's CPUs are in."""
        kinds = Counter(node.cpus for node in self.nodes)
        return max(kinds, key=lambda cpus: cpus * kinds[cpus])

    @property
    def unit(self) -> float:
        """What a reader, a tokenizer and a writer take together: 1 CPU, or half of a node that has less than two."""
        return min(1.0, self.host_cpus / 2)

    @property
    def gpus(self) -> float:
        """GPUs of an encode actor: a fraction where one process can't feed a whole one and there are cores for more."""
        if self.gpu.num_gpus != "auto":
            return float(self.gpu.num_gpus)
        num_gpus = sum(node.gpus for node in self.nodes)
        if self.gpu.device == "cpu" or not num_gpus:
            return 0.0
        by_cores = self.total_cpus / num_gpus / 2
        replicas = min(self._gpu_tokens_per_second / PROCESS_TOKENS_PER_SECOND, by_cores)
        return 1.0 if replicas < 2 else 0.5 if replicas < 4 else 0.25

    @property
    def _gpu_tokens_per_second(self) -> float:
        kinds = [peak_flops(node.accelerator) for node in self.nodes if node.gpus]
        peak = min((kind for kind in kinds if kind), default=PEAK_FLOPS["A100"])
        return PEAK_SHARE * peak / (2 * max(self.model.num_parameters, 1))

    @property
    def encoders_a_host(self) -> int:
        """Encode actors that share a node's cores where there are no GPUs."""
        by_threads = math.ceil(self.host_cpus / MOST_THREADS)
        if self.gpu.max_actors == "auto":
            return by_threads
        hosts = sum(1 for node in self.nodes if node.cpus)
        return min(by_threads, math.ceil(self.gpu.max_actors / hosts))

    @property
    def encode_cpus(self) -> float:
        """Logical CPUs of an encode actor. One with a GPU takes none: nothing then can keep it from its GPU."""
        if self.gpu.num_cpus != "auto":
            return float(self.gpu.num_cpus)
        if self.gpus:
            return 0.0
        grain = self.unit / 4
        return math.floor((self.host_cpus - self.unit) / self.encoders_a_host / grain + 1e-9) * grain

    @property
    def _cores(self) -> float:
        """The cores that fall to an encode actor without a GPU: more than its logical ones, as others idle."""
        if self.gpu.num_cpus == "auto":
            return self.host_cpus / self.encoders_a_host
        return float(self.gpu.num_cpus) or 1.0

    @property
    def num_threads(self) -> int:
        """Threads of an encode actor: its cores, or one where a GPU computes."""
        if self.gpu.num_threads != "auto":
            return self.gpu.num_threads
        return 1 if self.gpus else max(1, int(self._cores))

    def most_encoders(self, now: Sequence[Node], num_slices: int | None) -> int:
        """Encode actors that there is hardware and work for, at least 1. ``now`` are the nodes that are there."""
        size = Size(self.encode_cpus if self.gpus else self._cores, self.gpus)
        most = slots(self.nodes, size)
        if self.gpu.max_actors != "auto":
            most = self.gpu.max_actors if self.is_fixed else min(most, self.gpu.max_actors)
        if num_slices is not None:
            worth = max(slots(now, size), math.ceil(num_slices / SLICES_A_NODE_IS_WORTH))
            most = min(most, worth, num_slices)
        return max(1, most)

    def helpers(self, encoders: int) -> int:
        """Readers, and as many writers, for so many encode actors."""
        if not self.gpus:
            return math.ceil(encoders / MOST_THREADS)
        return max(1, min(math.ceil(encoders * self.gpus / 2), int(self.total_cpus / CPUS_A_HELPER)))

    def tokenizers(self, taken: float, encoders: int) -> tuple[int, float]:
        """Number and CPUs of the tokenizers for so many encode actors, ``taken`` CPUs being taken by all others."""
        if self.gpus:
            number, cpus = self._tokenizers_for_gpus(taken, encoders)
        else:
            number, cpus = math.ceil(encoders / MOST_THREADS), 0.25 * self.unit
        if self.cpu.num_cpus != "auto":
            cpus = float(self.cpu.num_cpus)
        if self.cpu.max_actors != "auto":
            number = self.cpu.max_actors if self.cpu.num_cpus != "auto" else min(number, self.cpu.max_actors)
        return number, cpus

    def _tokenizers_for_gpus(self, taken: float, encoders: int) -> tuple[int, float]:
        """As many as keep the encoders busy, a core each where that can be, within the cores left."""
        rate = min(PROCESS_TOKENS_PER_SECOND, self._gpu_tokens_per_second * self.gpus)
        wanted = math.ceil(encoders * rate / TOKENIZER_TOKENS_PER_SECOND)
        feeding = 0.0 if self.encode_cpus else min(encoders, self.total_cpus / 2)  # though Ray counts none for it
        size = self.unit if self.cpu.num_cpus == "auto" else max(float(self.cpu.num_cpus), 0.01)
        number = min(wanted, int((self.total_cpus - taken - feeding) / size))
        return (number, size) if number >= 1 else (1, 0.25 * self.unit)
