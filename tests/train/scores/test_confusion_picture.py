from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.image import imread

from pipelines.train.scores.confusion_picture import draw_confusion


def picture(counts: np.ndarray) -> np.ndarray:
    png = draw_confusion(counts, [f"class {n}" for n in range(len(counts))], "title")
    return np.asarray(imread(io.BytesIO(png), format="png"))[:, :, :3]


def reds(counts: np.ndarray) -> float:
    pixels = picture(counts)
    return float(((pixels[..., 0] > pixels[..., 2] + 0.05) & (pixels[..., 0] > 0.5)).mean())


@pytest.mark.parametrize("size", [2, 10, 45, 100])
def test_it_is_drawn_for_few_classes_and_many(size: int) -> None:
    pixels = picture(9 * np.eye(size, dtype=np.int64) + 1)
    assert 300 < pixels.shape[0] < 2300
    assert 300 < pixels.shape[1] < 2600


def test_what_is_wrong_is_red() -> None:
    right = 9 * np.eye(5, dtype=np.int64)
    assert reds(right) == 0
    assert 0 < reds(right + np.eye(5, k=1, dtype=np.int64)) < reds(right + 1)


def test_a_class_without_examples_is_an_empty_row() -> None:
    assert picture(np.array([[3, 0], [0, 0]])).size
