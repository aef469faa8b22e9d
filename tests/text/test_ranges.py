from __future__ import annotations

import numpy as np

from pipelines.text.ranges import counted, ends_of, places


def test_ranges_end_to_end() -> None:
    assert places(np.array([[5, 7], [0, 0], [2, 3], [5, 6]])).tolist() == [5, 6, 2, 5]
    assert places(np.zeros((0, 2), np.int64)).tolist() == []


def test_counts_end_to_end() -> None:
    assert counted(np.array([2, 0, 3])).tolist() == [0, 1, 0, 1, 2]
    assert ends_of(np.array([2, 0, 3])).tolist() == [0, 2, 2, 5]
    assert ends_of(np.zeros(0, np.int64)).tolist() == [0]
