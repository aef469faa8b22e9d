"""What tokenizers and encoders are born with, on whichever node."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol

from pipelines.errors import SpecError
from pipelines.model.fit import check_fit
from pipelines.model.folder import ModelFolder, Spec, read_folder, resolve
from pipelines.spec import Storage
from pipelines.store.digests import content_digest
from pipelines.store.models import ModelReference, fetch, identify
from pipelines.store.user_code import UserCode, put_on_path, read_user_code


class RunRecipe(Protocol):
    """What a run asks of its recipe, whichever job it is of."""

    phase: ClassVar[str]
    """What the clock calls the work on the documents."""

    @property
    def spec(self) -> Any:
        """The resolved spec, a ``CorpusSpec``."""

    @property
    def model(self) -> ModelReference:
        """The model, or the tokenizer."""

    @property
    def identity(self) -> ModelReference:
        """The same as results tell of it."""

    @property
    def told(self) -> dict[str, str]:
        """What each part's footer tells of it."""

    @property
    def output_bytes(self) -> int:
        """Bytes that are written of a chunk, or a document, beside its id and its numbers, about."""

    def folder(self) -> Any:
        """Its folder on this node."""


@dataclass(frozen=True, kw_only=True)
class Recipe(Generic[Spec]):
    """A model, told by its hash, and the resolved spec of what to do with it."""

    model: ModelReference
    spec: Spec
    storage: Storage = Storage()
    code: UserCode | None = None
    """What the class that loads the network is imported from, where it is no installed package."""
    class_hash: str = ""
    """Hash of the source of that class; "": the model's own class loads it."""

    phase: ClassVar[str] = "encode"

    @classmethod
    def of(cls, spec: Spec, storage: Storage = Storage(), user_code: str = "") -> Recipe[Spec]:
        """The recipe of a spec as it was written: its model identified, every "auto" but precision made concrete.

        A class of the user's own, imported from the folder ``user_code`` where there is one, is tried here: that takes
        torch, and as long as loading the network. SpecError where the model, or the class, cannot do what the spec
        asks.
        """
        model = identify(spec.model, storage, trust_remote_code=spec.trust_remote_code)
        folder = read_folder(fetch(model, storage))
        resolved = resolve(spec, folder)
        check_fit(resolved, folder)
        recipe = cls(model=model, spec=resolved, storage=storage)
        return recipe._with_class(folder, user_code) if spec.model_class or user_code else recipe

    @property
    def identity(self) -> ModelReference:
        """The model as results tell of it: its hash is also that of the user's class, where there is one."""
        if not self.class_hash:
            return self.model
        both = hashlib.sha256(f"{self.model.hash}\0{self.class_hash}".encode()).hexdigest()
        return replace(self.model, hash=both)

    @property
    def told(self) -> dict[str, str]:
        """What each part's footer tells of the model."""
        return {"model": self.identity.reference, "model_hash": self.identity.hash}

    @property
    def output_bytes(self) -> int:
        """Bytes that are written of a chunk beside its id and its numbers, about."""
        return self.spec.output_bytes(self.folder().hidden_size)

    def folder(self) -> ModelFolder:
        """The model's folder on this node, fetched if it is not here."""
        return read_folder(fetch(self.model, self.storage))

    def network_folder(self) -> ModelFolder:
        """The model's folder in a process that is to load the network, which can import the user's class from now on.

        SpecError where another class is here than where the run was started.
        """
        if self.class_hash and (found := self._import_class()) != self.class_hash:
            raise SpecError(
                f"model_class {self.spec.model_class} has another source on this node (hash {found[:12]}) than where "
                f"the run was started (hash {self.class_hash[:12]}): make them equal, or give it by --user_code"
            )
        return self.folder()

    def _with_class(self, folder: ModelFolder, user_code: str) -> Recipe[Spec]:
        from pipelines.model.user_class import check_user_class  # torch, which is not needed otherwise

        if not self.spec.model_class:
            raise SpecError(f"user_code {user_code} is given, and no class of it: name one by --spec.model_class")
        recipe = replace(self, code=read_user_code(user_code)) if user_code else self
        class_hash = recipe._import_class()
        check_user_class(folder, self.spec)
        return replace(recipe, class_hash=class_hash)

    def _import_class(self) -> str:
        """Hash of the code that the class is in, or else of its module's source."""
        from pipelines.model.user_class import user_class

        if self.code:
            put_on_path(self.code, self.spec.model_class.rpartition(".")[0])
            return self.code.hash
        return content_digest(Path(inspect.getfile(user_class(self.spec.model_class))))
