from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import StoreError
from pipelines.store.arrays import put_arrays, read_arrays
from pipelines.store.location import locate


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    assert read_arrays(output, "a.npz") is None
    put_arrays(output, "a.npz", {"keys": np.array([2**63], np.uint64), "none": np.zeros(0, bool), "one": np.array(7)})
    found = read_arrays(output, "a.npz")
    assert found is not None
    assert {name: (one.dtype.name, one.tolist()) for name, one in found.items()} == {
        "keys": ("uint64", [2**63]),
        "none": ("bool", []),
        "one": ("int64", 7),
    }


def test_what_is_no_file_of_arrays(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    for data in (b"", b"PK\x03\x04 broken", b"text"):
        output.put("a.npz", data)
        with pytest.raises(StoreError, match=r"a\.npz can't be read .*: remove the output and run again"):
            read_arrays(output, "a.npz")
