"""What makers of examples are born with, on whichever node."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from pipelines.example_spec import ExampleSpec
from pipelines.model.example_tokenizer import ExampleTokenizer
from pipelines.model.folder import read_folder
from pipelines.model.tokenizer_folder import PlainFolder, read_tokenizer_folder
from pipelines.spec import Storage, refuse
from pipelines.store.models import ModelReference, fetch, identify


@dataclass(frozen=True, kw_only=True)
class ExampleRecipe:
    """A tokenizer, told by the hash of its files, and the settled spec of what to do with it."""

    model: ModelReference
    spec: ExampleSpec
    storage: Storage = Storage()

    phase: ClassVar[str] = "prepare"

    @classmethod
    def of(cls, spec: ExampleSpec, storage: Storage = Storage()) -> ExampleRecipe:
        """The recipe of a spec as it was written: its tokenizer identified, max_seqlen as the model's folder has it.

        SpecError where the model takes fewer tokens, or special ones leave no room.
        """
        whole = read_folder(fetch(identify(spec.model, storage), storage))
        settled = whole.max_seqlen if spec.max_seqlen == "auto" else spec.max_seqlen
        if whole.max_positions and settled > whole.max_positions:
            refuse(spec, "max_seqlen", f"{spec.model} has {whole.max_positions} positions, write that at most")
        tokenizer = identify(spec.model, storage, what="tokenizer")
        recipe = cls(model=tokenizer, spec=replace(spec, max_seqlen=settled), storage=storage)
        recipe.tokenizer()
        return recipe

    @property
    def identity(self) -> ModelReference:
        """The tokenizer as results tell of it."""
        return self.model

    @property
    def told(self) -> dict[str, str]:
        """What each part's footer tells of it."""
        return {"tokenizer": self.model.reference, "tokenizer_hash": self.model.hash}

    @property
    def output_bytes(self) -> int:
        """Bytes that are written of a document, about."""
        return self.spec.output_bytes(0)

    def folder(self) -> PlainFolder:
        """The tokenizer's folder on this node, fetched if it is not here."""
        return read_tokenizer_folder(fetch(self.model, self.storage))

    def tokenizer(self) -> ExampleTokenizer:
        """The tokenizer, loaded."""
        return ExampleTokenizer(self.folder(), int(self.spec.max_seqlen))
