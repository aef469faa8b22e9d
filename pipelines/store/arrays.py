"""Named arrays in one file, in NumPy's format."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import StoreError
from pipelines.store.location import Location


def put_arrays(output: Location, key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Publish the arrays whole, in place of what may be there."""
    sink = io.BytesIO()
    np.savez(sink, allow_pickle=False, **arrays)
    output.put(key, sink.getvalue())


def read_arrays(output: Location, key: str) -> dict[str, npt.NDArray[Any]] | None:
    """What ``put_arrays`` published; None where there is nothing. StoreError where it can't be read."""
    try:
        with np.load(io.BytesIO(output.read(key)), allow_pickle=False) as found:
            return dict(found)
    except FileNotFoundError:
        return None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise StoreError(f"{output.join(key)} can't be read ({error}): remove the output and run again") from error
