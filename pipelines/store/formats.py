"""Files that hold text but are no Parquet, known by their names, and the commands that make Parquet of them.

The commands are polars', which takes strings as they are: ids such as "007", or that look like a UUID or a date, stay
what they are. A converted file has a name of its own, so that no command writes over a shard.
"""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from pipelines.store.location import Location

READERS = {
    ".jsonl": "polars.scan_ndjson({source}, infer_schema_length=None)",
    ".ndjson": "polars.scan_ndjson({source}, infer_schema_length=None)",
    ".json": "polars.scan_ndjson({source}, infer_schema_length=None)",
    ".csv": "polars.scan_csv({source}, infer_schema=False)",
    ".tsv": r"polars.scan_csv({source}, infer_schema=False, separator='\t')",
    ".txt": "polars.scan_lines({source}, name='text')",
}
"""What reads a format, by suffix; of .txt each line is a document, and what is large in .json is mostly lines of it."""

READ_PACKED = (".gz", ".zst")
"""Compressions that the readers see through."""

UNPACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""Compressions by suffix, as pyarrow calls them."""

OTHERS = (*READERS, *UNPACKED, ".xz", ".zip", ".arrow", ".avro", ".orc")
"""Suffixes of files that hold text but are no Parquet."""


def conversion(location: Location) -> str:
    """The shell command that makes Parquet of a file, or unpacks it; "" where there is none in one line.

    A file on a disk is converted beside itself, one from elsewhere into the working folder.
    """
    path = PurePosixPath(str(location))
    outer = path.suffix.lower()
    inner = PurePosixPath(path.stem).suffix.lower()
    reader = READERS.get(inner if outer in READ_PACKED else outer)
    if reader:
        return _command(location, "polars", f"{reader}.sink_parquet(sys.argv[2])", f"{path.name}.parquet")
    if outer not in UNPACKED:
        return ""
    unpacked = f"pyarrow.input_stream({{source}}, '{UNPACKED[outer]}')"
    name = f"{path.name}.parquet" if inner in (".parquet", ".parq") else path.stem
    return _command(location, "pyarrow, shutil", f"shutil.copyfileobj({unpacked}, open(sys.argv[2], 'xb'))", name)


def _command(location: Location, libraries: str, code: str, name: str) -> str:
    if location.is_local:
        source, target = "sys.argv[1]", str(PurePosixPath(str(location)).with_name(name))
    else:
        source, target, libraries = "fsspec.open(sys.argv[1]).open()", name, f"fsspec, {libraries}"
    variables = {"AWS_ENDPOINT_URL_S3": location.storage.endpoint, "AWS_PROFILE": location.storage.profile}
    told = [f"{key}={shlex.quote(value)}" for key, value in variables.items() if value and location.protocol == "s3"]
    script = f'"import {libraries}, sys; {code.format(source=source)}"'
    return " ".join([*told, "python -c", script, shlex.quote(str(location)), shlex.quote(target)])
