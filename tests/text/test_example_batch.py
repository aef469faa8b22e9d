from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipelines.finetune_spec import Task
from pipelines.text.example_batch import LOSSES, ExampleBatch


@pytest.mark.parametrize(
    ("task", "targets", "counts"),
    [
        ("classification", np.array([1, 0]), {"class": 2}),
        ("multi_label", np.zeros((2, 3), np.float32), {"classes": 6}),
        ("token_classification", np.array([-100, 1, -100, -100, 0, 2]), {"tag": 3}),
        ("question_answering", np.array([[1, 2], [0, 0]]), {"answer": 2}),
        ("embedding", np.zeros(0, np.float32), {"match": 2}),
    ],
)
def test_a_loss_is_a_mean_of_what_is_told(task: str, targets: Any, counts: dict[str, int]) -> None:
    batch = ExampleBatch(
        task=task,
        values=np.arange(6, dtype=np.int32),
        offsets=np.array([0, 3, 6]),
        segment_b_start=np.zeros(2, np.int32),
        targets=targets,
        number=np.arange(2),
    )
    assert batch.counts() == counts


def test_each_task_has_a_loss() -> None:
    assert set(LOSSES) == set(Task.__args__)  # type: ignore[attr-defined]
