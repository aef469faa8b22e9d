from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from pipelines.run.prepare.length_picture import KEY, draw, with_picture
from pipelines.store.location import locate
from tests.run.prepare.test_instance_counts import counts
from tests.run.test_report import report


def test_the_picture_is_drawn_of_the_lengths() -> None:
    one, other = (draw(counts(lengths=lengths), "prepare") for lengths in ({4: 5, 8: 5}, {2: 50, 8: 5}))
    pixels = image.imread(io.BytesIO(one))
    assert pixels.shape[:2] == (585, 1040)
    assert one == draw(counts(), "prepare")
    blue = [
        (np.abs(image.imread(io.BytesIO(each))[..., :3] - [0.12, 0.47, 0.71]).max(-1) < 0.02) for each in (one, other)
    ]
    assert all(each.mean() > 0.05 for each in blue)  # bars
    assert blue[0].any(axis=0).nonzero()[0].min() > blue[1].any(axis=0).nonzero()[0].min()  # which begin further left


@pytest.mark.parametrize("train", [0, 10])
def test_it_lies_in_the_output_where_there_is_something_to_draw(tmp_path: Path, train: int) -> None:
    output = locate(str(tmp_path))
    ours = replace(report(), instances=counts(train=train))
    assert with_picture(output, ours) is ours
    assert (tmp_path / KEY).exists() == bool(train)
    assert with_picture(output, report()).instances is None
