from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipelines.examples import TARGETS
from pipelines.finetune_spec import Task
from pipelines.text.example_batch import COLUMNS, LOSSES, ExampleBatch, example_batch
from pipelines.text.ragged import Column, Ragged
from tests.instances import instances


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


def test_the_columns_are_those_of_the_files() -> None:
    for task, names in COLUMNS.items():
        assert set(names) <= {field.name for field in TARGETS[task]}
    assert set(COLUMNS) == set(LOSSES)


def of(task: str, beside: dict[str, Column], num_labels: int = 0) -> ExampleBatch:
    return example_batch(replace(instances([[1, 7, 2], [1, 8, 9, 2]], first=40), beside=beside), task, num_labels)


def test_a_batch_has_the_instances_tokens() -> None:
    batch = of("classification", {"label": np.array([2, 0], np.int32)})
    assert batch.values.tolist() == [1, 7, 2, 1, 8, 9, 2]
    assert (batch.offsets.tolist(), batch.number.tolist(), batch.examples) == ([0, 3, 7], [40, 41], None)
    assert (batch.targets.tolist(), batch.targets.dtype) == ([2, 0], np.int64)


def test_targets_of_each_task() -> None:
    some = of("multi_label", {"labels": Ragged(np.array([0, 2], np.int32), np.array([0, 2, 2]))}, 3)
    assert (some.targets.tolist(), some.targets.dtype) == ([[1, 0, 1], [0, 0, 0]], np.float32)
    number = of("regression", {"value": np.array([0.5, -1], np.float32)})
    assert (number.targets.tolist(), number.targets.dtype) == ([0.5, -1], np.float32)
    tags = np.array([-100, 1, -100, -100, 0, 2, -100], np.int32)
    assert of("token_classification", {"token_labels": Ragged(tags, np.array([0, 3, 7]))}).targets.tolist() == [*tags]
    ends: dict[str, Column] = {"answer_start": np.array([1, 0], np.int32), "answer_end": np.array([2, 0], np.int32)}
    assert of("question_answering", ends).targets.tolist() == [[1, 2], [0, 0]]


def test_an_example_of_several_texts() -> None:
    lengths = Ragged(np.array([2, 1, 1, 2, 1], np.int32), np.array([0, 2, 5]))
    batch = of("embedding", {"text_lengths": lengths, "score": np.array([np.nan, np.nan], np.float32)})
    assert batch.examples is not None
    assert (batch.offsets.tolist(), batch.examples.tolist()) == ([0, 2, 3, 4, 6, 7], [0, 2, 5])
    assert (batch.segment_b_start.tolist(), batch.targets.tolist()) == ([0] * 5, [])
    scored = of("embedding", {"text_lengths": lengths, "score": np.array([0.5, 1], np.float32)})
    assert (scored.targets.tolist(), scored.targets.dtype) == ([0.5, 1], np.float32)
