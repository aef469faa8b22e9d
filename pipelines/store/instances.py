"""An output of ``jobs.prepare`` as its manifest has it: the files of instances that training may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.errors import SpecError
from pipelines.instances import HELD_OUT
from pipelines.spec import Storage
from pipelines.store.location import Location, locate
from pipelines.store.manifest import read_manifest
from pipelines.store.models import ModelReference
from pipelines.store.output import OutputSpec, read_spec
from pipelines.store.parts import held_out_key

KIND = "PrepareSpec"


@dataclass(frozen=True, kw_only=True)
class InstancePart:
    """A committed part: the instances of one slice (``pipelines.instances.INSTANCES``), and those held out of it."""

    key: str
    """Path under the output of the instances to train on; it may hold none."""
    shard: str
    """Path under the corpus of the shard whose documents they are of."""
    num_rows: int
    """Instances to train on."""
    size: int
    """Bytes of the file."""
    held_out: str
    """Path under the output of the instances that were held out; "": there are none."""


@dataclass(frozen=True, kw_only=True)
class InstanceOutput:
    """Committed instances: parts in order of shard and first row, and what made them."""

    location: Location
    spec: OutputSpec
    """``spec.spec`` holds the fields of the PrepareSpec: objective, max_seqlen, seed, held_out, ..."""
    version: str
    """Of the manifest: it changes with every commit."""
    metadata: Mapping[str, str]
    """What each footer says too: manta.objective, manta.tokenizer, manta.tokenizer_hash, ..."""
    parts: tuple[InstancePart, ...]

    @classmethod
    def open(cls, uri: str, storage: Storage = Storage(), *, kind: str = KIND) -> InstanceOutput:
        """The output at a path or URI. SpecError where no run of prepare has committed anything there.

        ``kind`` "ExampleSpec": examples (``pipelines.examples``), which a fine-tuning has made.
        """
        location = locate(uri, storage)
        spec, manifest = read_spec(location), read_manifest(location)
        if spec is None or manifest.version is None:
            raise SpecError(f"{location} holds no committed instances: name an output of jobs.prepare that has ended")
        if spec.kind != kind:
            raise SpecError(f"{location} holds results of another job ({spec.kind}): name an output of jobs.prepare")
        held_out = {entry.key for entry in location.list(HELD_OUT)}
        live = manifest.live_parts().sort_by([("shard", "ascending"), ("first_row", "ascending")])
        parts = tuple(
            InstancePart(
                key=row["part"],
                shard=row["shard"],
                num_rows=row["num_rows"],
                size=row["part_bytes"],
                held_out=key if (key := held_out_key(row["part"])) in held_out else "",
            )
            for row in live.to_pylist()
        )
        return cls(
            location=location, spec=spec, version=manifest.version, metadata=manifest.metadata, parts=parts
        )  # fmt: skip

    @property
    def tokenizer(self) -> ModelReference:
        """The tokenizer, told by the hash of its files; ``pipelines.store.models.fetch`` gives its folder."""
        return ModelReference(**self.spec.model)

    @property
    def num_rows(self) -> int:
        """Instances to train on."""
        return sum(part.num_rows for part in self.parts)
