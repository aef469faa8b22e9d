from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from pipelines.examples import TARGETS, examples_schema
from pipelines.finetune_spec import Task
from pipelines.instances import INSTANCES, NO_LABEL

INSTANCE = {"input_ids": [101, 7592, 102], "segment_b_start": 0, "next_sentence_label": NO_LABEL, "num_tokens": 3}


@pytest.mark.parametrize(
    ("task", "targets"),
    [
        ("classification", {"label": 2}),
        ("multi_label", {"labels": [0, 2]}),
        ("regression", {"value": 0.5}),
        ("token_classification", {"token_labels": [-100, 1, -100]}),
        ("embedding", {"text_lengths": [1, 2], "score": None}),
    ],
)
def test_an_example_is_an_instance_with_targets(task: str, targets: dict[str, Any]) -> None:
    row = {**INSTANCE, **targets}
    assert pa.Table.from_pylist([row], examples_schema(task)).to_pylist() == [row]
    assert examples_schema(task).names[:4] == INSTANCES.names


def test_each_task_has_targets() -> None:
    assert set(TARGETS) == set(Task.__args__)  # type: ignore[attr-defined]
