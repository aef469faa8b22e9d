from __future__ import annotations

import numpy as np
import pytest

from pipelines.text.full_length import FullLength
from pipelines.text.layout import lay_full, lay_pairs
from pipelines.text.segments import SegmentPairs

VALUES = np.arange(100, 110, dtype=np.int32)
CLS, SEP, END, NONE = (np.array(ids, np.int32) for ids in ([1], [2], [2, 3], []))


def test_pairs_stand_between_special_tokens() -> None:
    pairs = SegmentPairs(
        document=np.array([0, 2]), first=np.array([[0, 2], [4, 5]]), second=np.array([[2, 5], [8, 10]]),
        labels=np.array([0, 1], np.int8), is_short=np.array([False, True]), num_left_over=0, num_without_other=0,
    )  # fmt: skip
    laid = lay_pairs(VALUES, pairs, CLS, SEP, END)
    assert laid.values.tolist() == [1, 100, 101, 2, 102, 103, 104, 2, 3, 1, 104, 2, 108, 109, 2, 3]
    assert laid.values.dtype == np.int32
    assert (laid.offsets.tolist(), laid.lengths.tolist()) == ([0, 9, 16], [9, 7])
    assert laid.segment_b_start.tolist() == [4, 3]
    assert (laid.document.tolist(), laid.labels.tolist()) == ([0, 2], [0, 1])


def test_one_segment_stands_between_special_tokens() -> None:
    found = FullLength(
        document=np.array([1, 0]),
        ranges=np.array([[0, 2], [10, 11], [4, 5], [10, 10], [8, 10], [10, 10]]),
        offsets=np.array([0, 4, 6]),
    )
    laid = lay_full(VALUES, found, CLS, END, SEP)
    assert laid.values.tolist() == [1, 100, 101, 2, 104, 2, 3, 1, 108, 109, 2, 3]
    assert (laid.offsets.tolist(), laid.segment_b_start.tolist(), laid.labels.tolist()) == (
        [0, 7, 12],
        [0, 0],
        [-100] * 2,
    )
    with pytest.raises(AssertionError, match="a separator that there is not"):
        lay_full(VALUES, found, CLS, END, NONE)


def test_without_special_tokens_and_without_instances() -> None:
    bare = FullLength(document=np.array([0]), ranges=np.array([[0, 3]]), offsets=np.array([0, 1]))
    assert lay_full(VALUES, bare, NONE, NONE, NONE).values.tolist() == [100, 101, 102]
    nothing = FullLength(document=np.zeros(0, int), ranges=np.zeros((0, 2), int), offsets=np.zeros(1, int))
    laid = lay_full(VALUES, nothing, CLS, SEP, SEP)
    assert (laid.values.tolist(), laid.offsets.tolist()) == ([], [0])
