"""Names of a folder's weights, read with the standard library alone: what a model carries, before anything loads it."""

from __future__ import annotations

import json
import pickletools
import struct
import zipfile
from pathlib import Path
from typing import IO

from pipelines.errors import SpecError

SAFE = "model.safetensors"
PICKLED = "pytorch_model.bin"
LEGACY_PICKLES = 4
"""Before torch 1.6 a file was pickles end to end: a magic number, a version, the system, the weights; then numbers."""


def weight_names(path: Path) -> frozenset[str]:
    """Names of the tensors in the folder's safetensors, else in its .bin files.

    Pickles are looked through and never run, so that among their names are some of no tensor. SpecError where there is
    no such file, or one cannot be read.
    """
    try:
        for name, read in ((SAFE, _safe), (f"{SAFE}.index.json", _index), (PICKLED, _pickled)):
            if (path / name).exists():
                return frozenset(read(path / name))
        return frozenset(_index(path / f"{PICKLED}.index.json"))
    except FileNotFoundError as error:
        raise SpecError(f"{path} has no {SAFE}: fetch the model again") from error
    except (ValueError, KeyError, struct.error, zipfile.BadZipFile) as error:
        raise SpecError(f"the weights in {path} do not load ({type(error).__name__}): fetch the model again") from error


def _safe(path: Path) -> list[str]:
    """A safetensors file begins with the length of a header in JSON, as 8 bytes."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > path.stat().st_size:
            raise ValueError("the header is longer than the file")
        return [name for name in json.loads(file.read(length)) if name != "__metadata__"]


def _index(path: Path) -> list[str]:
    return list(json.loads(path.read_text(encoding="utf-8"))["weight_map"])


def _pickled(path: Path) -> list[str]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = next(name for name in [*archive.namelist(), "data.pkl"] if name.endswith("data.pkl"))
            with archive.open(inside) as file:
                return _strings(file)
    with path.open("rb") as file:
        return [name for _ in range(LEGACY_PICKLES) for name in _strings(file)]


def _strings(file: IO[bytes]) -> list[str]:
    """The strings of one pickle that look like names of weights."""
    found = [value for code, value, _ in pickletools.genops(file) if "UNICODE" in code.name]
    return [str(value) for value in found if "." in str(value)]
