from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.image import imread

from pipelines.train.scores.retrieval import Judged
from pipelines.train.scores.score_pictures import draw_classes, draw_ranks, draw_values, shortened

RIGHT = np.arange(50.0)


def picture(png: bytes) -> np.ndarray:
    return np.asarray(imread(io.BytesIO(png), format="png"))[:, :, :3]


def colored(png: bytes, rgb: tuple[float, float, float]) -> int:
    return int((np.abs(picture(png) - rgb).max(-1) < 0.02).sum())


def test_values_are_dots_and_very_many_are_counted() -> None:
    few = draw_values(RIGHT**2, RIGHT, {"spearman": 1.0}, ("cosine", "score"))
    assert picture(few).shape[:2] == (858, 910)
    many = draw_values(np.tile(RIGHT, 50), np.tile(RIGHT, 50), {}, ("cosine", "score"))
    assert (picture(many) != picture(few)).any()


@pytest.mark.parametrize("right", [np.ones(5), np.empty(0), np.ones(1)])
def test_values_that_are_all_the_same_have_a_picture_too(right: np.ndarray) -> None:
    assert draw_values(right, right, {}, ("a", "b")).startswith(b"\x89PNG")


def test_bars_are_as_long_as_their_values() -> None:
    short, long = (draw_classes({"PER": {"f1": value, "support": 3.0}}, "t") for value in (0.2, 0.9))
    dark = (8 / 255, 48 / 255, 107 / 255)
    assert 4 < colored(long, dark) / colored(short, dark) < 5
    assert draw_classes({f"c{n}": {"f1": 0.5, "support": 1.0} for n in range(60)}, "t").startswith(b"\x89PNG")


def test_recall_grows_with_rank() -> None:
    near, far = (Judged(query=np.arange(4), rank=np.full(4, rank), gain=np.ones(4)) for rank in (1, 9))
    metrics = {"recall@1": 1.0, "recall@10": 1.0, "map": 1.0, "mrr@10": 1.0}
    assert (picture(draw_ranks(near, metrics, "t")) != picture(draw_ranks(far, metrics, "t"))).any()


def test_long_names_are_cut() -> None:
    assert shortened(["abc", "a" * 30], 5) == ["abc", "aaaa…"]
