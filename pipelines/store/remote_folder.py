"""A model's folder behind a URI: listed once, hashed and copied as a stream."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipelines.errors import SpecError, StoreError
from pipelines.store.digests import remembered
from pipelines.store.failures import explain
from pipelines.store.location import Entry, Location
from pipelines.store.model_files import What, loaded_files, model_hash

COPY_BYTES = 16 * 2**20


class RemoteFolder:
    """A model's folder behind a URI."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._entries: dict[str, Entry] = {entry.key: entry for entry in location.list()}
        if not self._entries:
            raise SpecError(f"model {location}: nothing is there: name the folder that holds config and weights")

    def names(self, folder: str) -> list[str]:
        """See ``pipelines.store.model_files.Folder``."""
        return [name for name in self._entries if posixpath.dirname(name) == folder]

    def read(self, name: str) -> bytes:
        """See ``pipelines.store.model_files.Folder``."""
        return self._location.read(name)

    def __str__(self) -> str:
        return str(self._location)

    @property
    def uri(self) -> str:
        """Where it is."""
        return self._location.uri

    def hash(self, *, code: bool, what: What = "model") -> str:
        """Hash of the model, or of its tokenizer alone, from the digests kept by ETag; what has none is read once."""
        return model_hash({name: self._digest(name) for name in loaded_files(self, code=code, what=what)})

    def copy(self, files: Iterable[str], folder: Path) -> dict[str, str]:
        """Copy files into a folder of this machine; give back the SHA-256 of each as it came."""
        digests = {}
        for name in files:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                digests[name] = self._stream(name, file)
        return digests

    def _digest(self, name: str) -> str:
        entry = self._entries[name]
        key = f"{self._location.uri}\0{name}\0{entry.size}\0{entry.version}"
        return remembered(key, lambda: self._stream(name), keep=bool(entry.version))

    def _stream(self, name: str, sink: Any = None) -> str:
        filesystem, path = self._location.arrow(name)
        digest = hashlib.sha256()
        try:
            with filesystem.open_input_stream(path) as source:
                while chunk := source.read(COPY_BYTES):
                    digest.update(chunk)
                    if sink is not None:
                        sink.write(chunk)
        except OSError as error:
            raise StoreError(f"{self}/{name} could not be read: {explain(error)}") from error
        return digest.hexdigest()
