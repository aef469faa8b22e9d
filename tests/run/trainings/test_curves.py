from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.image import imread

from pipelines.run.trainings.curves import Curves, draw, points, smoothed

ROWS = [
    {"step": step, "loss_mlm": 10 - step / 20, "loss_nsp": 0.7, "accuracy_mlm": step / 200, "accuracy_nsp": 0.5,
     "learning_rate": 1e-4, "tokens_per_second": 3000.0}
    for step in range(10, 101, 10)
]  # fmt: skip


def picture(curves: Curves) -> np.ndarray:
    return np.asarray(imread(io.BytesIO(draw(curves)), format="png"))[:, :, :3]


def test_points_are_of_the_rows_that_have_the_name() -> None:
    assert points([{"step": 1, "a": 5.0}, {"step": 2}, {"step": 3, "a": 7.0}], "a") == ([1, 3], [5.0, 7.0])


def test_smoothing_is_a_mean_over_what_came_before() -> None:
    assert smoothed([3.0, 1.0]) == [3.0, 1.0]
    values = [float(n % 2) for n in range(100)]
    assert smoothed(values)[0] == 0.0
    assert smoothed(values)[1:] == [0.5] * 99
    assert smoothed([]) == []


def test_objectives_are_those_of_the_rows_in_one_order() -> None:
    assert Curves(ROWS[::-1]).objectives() == ["mlm", "nsp"]
    assert Curves([{"step": 1, "loss_clm": 2.0}]).objectives() == ["clm"]


def test_a_picture_shows_what_it_is_given() -> None:
    plain = picture(Curves(ROWS))
    assert plain.shape == (1170, 1300, 3)
    assert plain.mean() > 0.8  # lines on white
    for other in (
        Curves(ROWS, ROWS[::4]), Curves(ROWS, unigram_entropy=6.0), Curves(ROWS, title="a"),
        Curves(ROWS, notes={50: "restart"}), Curves([{**row, "loss_mlm": 1.0} for row in ROWS]),
    ):  # fmt: skip
        assert (picture(other) != plain).any()


@pytest.mark.parametrize("rows", [[], ROWS[:1], [{"step": 1, "loss_clm": 2.0}]])
def test_a_training_that_has_hardly_begun_has_a_picture_too(rows: list[dict[str, float]]) -> None:
    assert draw(Curves(rows)).startswith(b"\x89PNG")


def test_metrics_are_drawn_among_the_shares() -> None:
    rows = [{"step": step, "loss_class": 0.5, "accuracy_class": 0.8, "learning_rate": 1e-4} for step in (10, 20)]
    told = [{"step": 10, "loss_class": 0.5, "metric_f1": 0.7}, {"step": 20, "metric_f1": 0.8, "metric_matthews": -0.25}]
    curves = Curves(rows, told)
    assert curves.objectives() == ["class"]
    assert curves.metrics() == ["f1", "matthews"]
    assert curves.span() == (-0.25, 1.0)
    assert Curves(rows).span() == (0.0, 1.0)
    assert (picture(curves) != picture(Curves(rows, [{"step": 10, "loss_class": 0.5}]))).any()
