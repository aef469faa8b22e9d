from __future__ import annotations

import numpy as np

from pipelines.text.ragged import Ragged

THREE = Ragged(np.array([1, 2, 3], np.int32), np.array([0, 2, 2, 3]))


def test_lists_lie_end_to_end() -> None:
    assert len(THREE) == 3
    assert THREE.lengths.tolist() == [2, 0, 1]
    assert [THREE[row].tolist() for row in range(3)] == [[1, 2], [], [3]]


def test_lists_are_taken_in_the_order_asked_for() -> None:
    taken = THREE.take(np.array([2, 0, 1, 0]))
    assert taken.values.tolist() == [3, 1, 2, 1, 2]
    assert taken.offsets.tolist() == [0, 1, 3, 3, 5]
    none = THREE.take(np.array([], np.int64))
    assert (len(none), none.offsets.tolist(), none.values.dtype) == (0, [0], np.int32)


def test_lists_are_joined_in_the_type_of_the_others() -> None:
    joined = Ragged.joined([np.array([7], np.int32), np.array([], np.int32)], THREE.values)
    assert (joined.values.tolist(), joined.offsets.tolist()) == ([7], [0, 1, 1])
    none = Ragged.joined([], np.array(["a text"], object))
    assert (none.values.tolist(), none.values.dtype, none.offsets.tolist()) == ([], object, [0])


def test_lists_that_are_equal_have_one_place() -> None:
    lists = Ragged(np.array([1, 2, 3, 1, 2, 3], np.int32), np.array([0, 2, 3, 5, 5, 6]))  # [1 2] [3] [1 2] [] [3]
    first, equal = lists.distinct()
    assert (first.tolist(), equal.tolist()) == ([0, 1, 3], [0, 1, 0, 2, 1])
    first, equal = Ragged(np.zeros(0, np.int32), np.array([0])).distinct()
    assert (first.tolist(), equal.tolist()) == ([], [])
