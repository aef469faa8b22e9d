"""Models of the Hugging Face hub: a name and a revision become a commit, and a commit a folder in the hub's own cache.

huggingface_hub is imported only when a hub model is asked for.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path

from pipelines.errors import SpecError
from pipelines.store.model_files import SETTINGS, What, loaded_files

log = logging.getLogger(__name__)

HUB_ID = re.compile(r"(?P<name>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?")


class HubFolder:
    """The files of one commit on the hub. Those that are read are downloaded into the hub's cache."""

    def __init__(self, name: str, commit: str, names: Iterable[str]) -> None:
        self._name = name
        self._commit = commit
        self._names = list(names)

    def names(self, folder: str) -> list[str]:
        """See ``pipelines.store.model_files.Folder``."""
        return [name for name in self._names if name.rpartition("/")[0] == folder]

    def read(self, name: str) -> bytes:
        """See ``pipelines.store.model_files.Folder``."""
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(self._name, name, revision=self._commit)).read_bytes()

    def __str__(self) -> str:
        return f"{self._name}@{self._commit}"


def snapshot(hub_id: str, *, code: bool = False, what: What = "model") -> tuple[str, Path]:
    """The commit that NAME or NAME@REVISION stands for, as NAME@COMMIT, and the folder of its files on this machine.

    The hub is asked, and what is not here downloaded; where it does not answer, what its cache here has counts. Raises
    SpecError where neither helps.
    """
    matched = HUB_ID.fullmatch(hub_id)
    if matched is None:
        raise _unknown(hub_id, "and it is no hub id (NAME or NAME@REVISION) either")
    return _download(matched["name"], matched["revision"], code=code, what=what)


def _download(name: str, revision: str | None, *, code: bool, what: What) -> tuple[str, Path]:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError, HTTPError

    hub_id = f"{name}@{revision}" if revision else name
    try:
        info = HfApi().model_info(name, revision=revision)
        folder = HubFolder(name, info.sha, [file.rfilename for file in info.siblings])
        wanted = loaded_files(folder, code=code, what=what)
        # By its name, not by the commit, so that the cache knows what the name stands for where there is no hub.
        path = Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
        return f"{name}@{path.name}", path
    except (OSError, HTTPError, HFValidationError) as error:
        if found := cached(name, revision):
            log.warning("the Hugging Face hub does not answer for %s: %s is used, which is here", hub_id, found[0])
            return found
        raise _unknown(hub_id, _why(error)) from error


def cached(name: str, revision: str | None) -> tuple[str, Path] | None:
    """What the hub's cache on this machine has of the revision, None if nothing, or as far as is known not all."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:  # asked for what is always wanted: a download that was broken off is refused, one of chosen files is not
        path = Path(snapshot_download(name, revision=revision, allow_patterns=sorted(SETTINGS), local_files_only=True))
    except (OSError, HFValidationError):
        return None
    return f"{name}@{path.name}", path


def _why(error: Exception) -> str:
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set, and the hub's cache here does not have it"
    if isinstance(error, RevisionNotFoundError):
        return "and the Hugging Face hub knows no such revision of it"
    if isinstance(error, RepositoryNotFoundError):
        return "and the Hugging Face hub shows no such model (to a private one it lets only those in who set HF_TOKEN)"
    if isinstance(error, HFValidationError):
        return "and it is no hub id (NAME or NAME@REVISION) either"
    return f"and the Hugging Face hub is not reachable ({type(error).__name__}: {error})"


def _unknown(hub_id: str, why: str) -> SpecError:
    return SpecError(
        f"model {hub_id!r} is no folder here, {why}: name a model folder, a URI, a hub id or package:NAME/FOLDER"
    )
