"""What makers of examples are born with, on whichever node."""

from __future__ import annotations

from dataclasses import replace

from pipelines.errors import SpecError
from pipelines.example_spec import ExampleSpec
from pipelines.model.example_tokenizer import ExampleTokenizer
from pipelines.model.folder import read_folder
from pipelines.spec import Storage
from pipelines.stages.tokenizer_recipe import HeldTokenizer
from pipelines.store.models import fetch, identify


class ExampleRecipe(HeldTokenizer[ExampleSpec]):
    """What makers of examples are born with: the spec is settled."""

    @classmethod
    def of(cls, spec: ExampleSpec, storage: Storage = Storage()) -> ExampleRecipe:
        """The recipe of a spec as it was written: its tokenizer identified, max_seqlen as the model's folder has it.

        SpecError where the model takes fewer tokens, or special ones leave no room.
        """
        whole = read_folder(fetch(identify(spec.model, storage), storage))
        settled = whole.max_seqlen if spec.max_seqlen == "auto" else spec.max_seqlen
        if whole.max_positions and settled > whole.max_positions:
            raise SpecError(
                f"max_seqlen is {settled}: {spec.model} has {whole.max_positions} positions, write --spec.max_seqlen "
                f"{whole.max_positions} at most"
            )
        tokenizer = identify(spec.model, storage, what="tokenizer")
        recipe = cls(model=tokenizer, spec=replace(spec, max_seqlen=settled), storage=storage)
        recipe.tokenizer()
        return recipe

    def tokenizer(self) -> ExampleTokenizer:
        """The tokenizer, loaded."""
        return ExampleTokenizer(self.folder(), int(self.spec.max_seqlen))
