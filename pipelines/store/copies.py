"""What an output keeps of its shards to tell copies: digests of their texts, and which rows are copies.

Each is an array in NumPy's format, one file a shard. What was found of a shard once stays as it is.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import StoreError
from pipelines.store.location import Location

DIGESTS, COPIES = "_manta/digests/", "_manta/copies/"
SUFFIX = ".npy"


def digests_key(shard_id: str) -> str:
    """Path under the output of uint64[num_rows], a digest of each row's text."""
    return f"{DIGESTS}{shard_id}{SUFFIX}"


def copies_key(shard_id: str) -> str:
    """Path under the output of int64[n], the rows in order whose text is in an earlier row or shard."""
    return f"{COPIES}{shard_id}{SUFFIX}"


def put_array(output: Location, key: str, array: npt.NDArray[Any]) -> None:
    """Publish an array whole, in place of one that may be there."""
    sink = io.BytesIO()
    np.save(sink, array, allow_pickle=False)
    output.put(key, sink.getvalue())


def read_array(output: Location, key: str) -> npt.NDArray[Any]:
    """What ``put_array`` published; StoreError where it is gone or can't be read."""
    try:
        found: npt.NDArray[Any] = np.load(io.BytesIO(output.read(key)), allow_pickle=False)
        return found
    except (FileNotFoundError, ValueError, EOFError) as error:
        why = "is gone" if isinstance(error, FileNotFoundError) else f"can't be read ({error}): remove it"
        raise StoreError(f"{output.join(key)}, by which copies are told, {why}; run again") from error


def list_arrays(output: Location, folder: str) -> dict[str, int]:
    """Bytes by shard_id of the arrays in DIGESTS or COPIES."""
    entries = (entry for entry in output.list(folder) if entry.key.endswith(SUFFIX))
    return {entry.key.removeprefix(folder).removesuffix(SUFFIX): entry.size for entry in entries}
