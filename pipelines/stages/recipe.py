"""What tokenizers and encoders are born with, on whichever node."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.model.folder import ModelFolder, read_folder, resolve
from pipelines.spec import EmbedSpec, Storage
from pipelines.store.models import ModelReference, fetch, identify


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A model, told by its hash, and the resolved spec of what to do with it."""

    model: ModelReference
    spec: EmbedSpec
    storage: Storage = Storage()

    @classmethod
    def of(cls, spec: EmbedSpec, storage: Storage = Storage()) -> Recipe:
        """The recipe of a spec as it was written: its model identified, every "auto" but precision made concrete."""
        model = identify(spec.model, storage, trust_remote_code=spec.trust_remote_code)
        return cls(model=model, spec=resolve(spec, read_folder(fetch(model, storage))), storage=storage)

    def folder(self) -> ModelFolder:
        """The model's folder on this node, fetched if it is not here."""
        return read_folder(fetch(self.model, self.storage))
