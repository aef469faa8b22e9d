"""What makers of instances are born with, on whichever node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from pipelines.model.sentence_tokenizer import SentenceTokenizer
from pipelines.model.tokenizer_folder import PlainFolder, read_tokenizer_folder
from pipelines.prepare_spec import PrepareSpec
from pipelines.spec import CorpusSpec, Storage, refuse
from pipelines.store.models import ModelReference, fetch, identify

Spec = TypeVar("Spec", bound=CorpusSpec)
LEAST_ROOM = 4
"""Tokens beside special ones: two segments of two."""


@dataclass(frozen=True, kw_only=True)
class HeldTokenizer(Generic[Spec]):
    """A tokenizer, told by the hash of its files, and the spec of what to do with it: a ``RunRecipe``."""

    model: ModelReference
    spec: Spec
    storage: Storage = Storage()

    phase: ClassVar[str] = "prepare"

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


class TokenizerRecipe(HeldTokenizer[PrepareSpec]):
    """What makers of instances are born with."""

    @classmethod
    def of(cls, spec: PrepareSpec, storage: Storage = Storage()) -> TokenizerRecipe:
        """The recipe of a spec as it was written: its tokenizer identified, and asked whether it can do what is asked.

        SpecError where it can't.
        """
        recipe = cls(model=identify(spec.tokenizer, storage, what="tokenizer"), spec=spec, storage=storage)
        check_tokenizer(SentenceTokenizer(recipe.folder()), spec)
        return recipe


def check_tokenizer(tokenizer: SentenceTokenizer, spec: PrepareSpec) -> None:
    """SpecError where its special tokens leave no room, or where it has none to keep two segments apart."""
    special = tokenizer.special
    if spec.is_paired and not len(special.between):
        refuse(spec, "objective", f"{spec.tokenizer} puts no token between two texts: write mlm, or take another one")
    taken = special.num_pair if spec.is_paired else special.num_single
    if spec.max_seqlen < taken + LEAST_ROOM:
        refuse(spec, "max_seqlen", f"special tokens take {taken}: write {taken + LEAST_ROOM} or more")
