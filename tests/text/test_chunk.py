import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.chunk import windows


def test_windows_by_hand() -> None:
    assert windows(10, 4, 1).tolist() == [[0, 4], [3, 7], [6, 10]]
    assert windows(11, 4, 1).tolist() == [[0, 4], [3, 7], [6, 10], [9, 11]]
    assert windows(8, 4, 0).tolist() == [[0, 4], [4, 8]]
    assert windows(3, 4, 2).tolist() == [[0, 3]]
    assert windows(4, 4, 3).tolist() == [[0, 4]]


def test_a_document_without_tokens_has_one_empty_window() -> None:
    assert windows(0, 4, 1).tolist() == [[0, 0]]


def test_a_stride_as_wide_as_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="stride is 4"):
        windows(10, 4, 4)


@given(st.integers(1, 500), st.integers(1, 40), st.data())
def test_windows_cover_the_document_and_none_lies_within_another(
    num_tokens: int, most: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(0, most - 1))
    found = windows(num_tokens, most, stride)
    assert found.dtype == np.int64
    assert found[0, 0] == 0
    assert found[-1, 1] == num_tokens
    assert (np.diff(found, axis=1) <= most).all()
    assert (np.diff(found, axis=1) > 0).all()
    assert (found[1:, 0] == found[:-1, 1] - stride).all()
    assert (np.diff(found[:, 0]) > 0).all()
    assert (np.diff(found[:, 1]) > 0).all()
