"""Files that hold text but are no Parquet, known by their names, and the commands that make Parquet of them.

What is converted or unpacked has a name of its own, so that no command writes over a shard.
"""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from pipelines.store.location import Location

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", ".arrow")
"""What ``jobs.convert`` reads, by suffix; what is large in .json is mostly lines of it."""

UNPACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""Compressions by suffix, as pyarrow calls them."""

OTHERS = (*FORMATS, *UNPACKED, ".xz", ".zip", ".avro", ".orc")
"""Suffixes of files that hold text but are no Parquet."""


def format_of(name: str) -> str:
    """The suffix that tells a file's format, without that of its compression; "" for none that can be converted."""
    path = PurePosixPath(name.lower())
    inner = PurePosixPath(path.stem) if path.suffix in UNPACKED else path
    return inner.suffix if inner.suffix in FORMATS else ""


def conversion(location: Location) -> str:
    """The shell command that makes Parquet of a file, or unpacks it; "" where there is none in one line.

    What comes of a file on a disk is put beside it, of one from elsewhere into the working folder.
    """
    path = PurePosixPath(str(location))
    if format_of(path.name):
        return _convert(location, f"{path.name}-corpus")
    outer = path.suffix.lower()
    if outer not in UNPACKED:
        return ""
    is_parquet = PurePosixPath(path.stem).suffix.lower() in (".parquet", ".parq")
    return _unpack(location, UNPACKED[outer], f"{path.name}.parquet" if is_parquet else path.stem)


def _convert(location: Location, name: str) -> str:
    storage = {"endpoint": location.storage.endpoint, "profile": location.storage.profile}
    told = [f"--storage.{key} {shlex.quote(value)}" for key, value in storage.items() if value and _is_s3(location)]
    source, target = shlex.quote(str(location)), shlex.quote(_target(location, name))
    return " ".join([f"python -m jobs.convert --source {source} --output {target}", *told])


def _unpack(location: Location, compression: str, name: str) -> str:
    source, libraries = "sys.argv[1]", "pyarrow, shutil"
    if not location.is_local:
        source, libraries = "fsspec.open(sys.argv[1]).open()", f"fsspec, {libraries}"
    unpacked = f"pyarrow.input_stream({source}, '{compression}')"
    script = f"\"import {libraries}, sys; shutil.copyfileobj({unpacked}, open(sys.argv[2], 'xb'))\""
    variables = {"AWS_ENDPOINT_URL_S3": location.storage.endpoint, "AWS_PROFILE": location.storage.profile}
    told = [f"{key}={shlex.quote(value)}" for key, value in variables.items() if value and _is_s3(location)]
    target = _target(location, name)
    return " ".join([*told, "python -c", script, shlex.quote(str(location)), shlex.quote(target)])


def _target(location: Location, name: str) -> str:
    return str(PurePosixPath(str(location)).with_name(name)) if location.is_local else name


def _is_s3(location: Location) -> bool:
    return location.protocol == "s3"
