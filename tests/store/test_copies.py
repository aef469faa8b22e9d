from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import StoreError
from pipelines.store.copies import COPIES, DIGESTS, copies_key, digests_key, list_arrays, put_array, read_array
from pipelines.store.location import locate

A, B = "00000000000000aa", "00000000000000bb"


def test_arrays_come_back_as_they_were_put(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    put_array(output, digests_key(A), np.array([2**64 - 1, 0], np.uint64))
    put_array(output, copies_key(A), np.zeros(0, np.int64))
    digests, copies = read_array(output, digests_key(A)), read_array(output, copies_key(A))
    assert (digests.tolist(), digests.dtype) == ([2**64 - 1, 0], np.uint64)
    assert (copies.tolist(), copies.dtype) == ([], np.int64)


def test_a_listing_tells_which_shards_have_one(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    assert list_arrays(output, DIGESTS) == {}
    put_array(output, digests_key(A), np.zeros(10, np.uint64))
    put_array(output, copies_key(B), np.zeros(0, np.int64))
    assert list_arrays(output, DIGESTS) == {A: 128 + 80}  # a header of NumPy's, and the numbers
    assert list_arrays(output, COPIES).keys() == {B}


def test_what_is_gone_or_broken_says_what_to_do(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    with pytest.raises(StoreError, match=r"aa\.npy, by which copies are told, is gone; run again"):
        read_array(output, copies_key(A))
    for broken in (b"", b"no array at all", b"\x93NUMPY\x01\x00"):
        output.put(copies_key(A), broken)
        with pytest.raises(StoreError, match=r"can't be read \(.*\): remove it; run again"):
            read_array(output, copies_key(A))
