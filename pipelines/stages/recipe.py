"""What tokenizers and encoders are born with, on whichever node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from pipelines.model.abilities import require
from pipelines.model.folder import ModelFolder, Spec, read_folder, resolve
from pipelines.model.variants import vector_specs
from pipelines.predict_spec import PredictSpec
from pipelines.spec import Storage
from pipelines.store.models import ModelReference, fetch, identify


@dataclass(frozen=True, kw_only=True)
class Recipe(Generic[Spec]):
    """A model, told by its hash, and the resolved spec of what to do with it."""

    model: ModelReference
    spec: Spec
    storage: Storage = Storage()

    @classmethod
    def of(cls, spec: Spec, storage: Storage = Storage()) -> Recipe[Spec]:
        """The recipe of a spec as it was written: its model identified, every "auto" but precision made concrete.

        SpecError where the model cannot do what the spec asks.
        """
        model = identify(spec.model, storage, trust_remote_code=spec.trust_remote_code)
        folder = read_folder(fetch(model, storage))
        resolved = resolve(spec, folder)
        if isinstance(resolved, PredictSpec):
            require(folder, resolved.outputs)
            vector_specs(resolved, folder)
        return cls(model=model, spec=resolved, storage=storage)

    def folder(self) -> ModelFolder:
        """The model's folder on this node, fetched if it is not here."""
        return read_folder(fetch(self.model, self.storage))
