import numpy as np
import pytest

from pipelines.text.probabilities import sigmoid, softmax, softmax_in_chunks

LN3 = float(np.log(3))


def test_by_hand():
    assert softmax(np.array([[0, LN3], [5, 5]])).tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert sigmoid(np.array([[0, LN3, -LN3]])).tolist() == [[0.5, 0.75, 0.25]]


def test_large_logits_do_not_overflow():
    assert softmax(np.array([[1e4, -1e4]], np.float32)).tolist() == [[1, 0]]
    with np.errstate(over="raise"):
        assert sigmoid(np.array([[1e4, -1e4]], np.float32)).tolist() == [[1, 0]]
    found = softmax_in_chunks(np.array([1e4, 0]), np.array([0, 2]), np.array([True, True]))
    assert found.tolist() == [1, 0]


def test_in_chunks_by_hand():
    logits = np.array([0, LN3, 9, 7, -1, 2])
    counted = np.array([True, True, False, True, False, False])
    found = softmax_in_chunks(logits, np.array([0, 3, 4, 6]), counted)
    assert found == pytest.approx([0.25, 0.75, 0, 1, 0, 0])


def test_nothing():
    assert softmax(np.zeros((0, 3))).shape == (0, 3)
    assert softmax_in_chunks(np.zeros(0), np.array([0]), np.zeros(0, bool)).tolist() == []
