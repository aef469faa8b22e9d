from __future__ import annotations

import pytest

from pipelines.train.scores.names import NAMES
from pipelines.train.scores.task_pictures import task_pictures
from pipelines.train.scores.tasks import task_details, task_scores
from tests.train.scores.test_tasks import told

EXPECTED = {
    "classification": ["confusion.png"], "multi_label": ["classes.png"], "token_classification": ["classes.png"],
    "question_answering": ["classes.png"], "regression": ["scores.png"], "scored": ["scores.png"], "embedding": [],
}  # fmt: skip


@pytest.mark.parametrize("task", [*NAMES, "scored"])
def test_each_task_has_its_picture(task: str) -> None:
    given, labels = told(task)
    real = "embedding" if task == "scored" else task
    scores, details = task_scores(real, given, labels), task_details(real, given, labels)
    found = task_pictures(real, given, scores, details, labels)
    assert list(found) == EXPECTED[task]
    assert all(picture.startswith(b"\x89PNG") for picture in found.values())
