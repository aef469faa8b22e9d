from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest

from pipelines.finetune_spec import Task
from pipelines.store.location import locate
from pipelines.text.example_batch import LOSSES
from pipelines.train.feed import held_out_share
from pipelines.train.instance_source import Cut
from pipelines.train.row_groups import list_row_groups
from pipelines.train.task_batches import TaskBatches
from tests.example_rows import example, put_examples


def maker(task: Any, num_labels: int = 3) -> TaskBatches:
    return TaskBatches(task=task, num_labels=num_labels, id_column="id", flops=lambda lengths: float(lengths.sum()))


def test_examples_to_learn_from_are_batches_of_like_length(tmp_path: Path) -> None:
    rows = [example([2, *range(5, 5 + n), 3], label=n % 3) for n in (1, 6, 2, 5)]
    put_examples(locate(str(tmp_path)), "parts/0.parquet", "classification", rows)
    made = maker("classification")
    groups = list_row_groups(locate(str(tmp_path)), ["parts/0.parquet"])
    share = held_out_share(groups, max_instances=4, rank=0, world=1, columns=made.held_out_columns)
    batches = [made.batch(part) for part in Cut(token_budget=16, padded=True).parts(share)]
    assert [(np.diff(batch.offsets).tolist(), batch.targets.tolist()) for batch in batches] == [
        ([8, 7], [0, 2]),
        ([4, 3], [2, 1]),
    ]
    assert made.losses == ("class",)
    assert made.work(share, batches) == 22.0


def test_questions_bring_what_their_answers_are_read_off(tmp_path: Path) -> None:
    row = example(
        [2, 7, 3, 8, 9, 3], 3, answer_start=4, answer_end=4, char_starts=[-1, -1, -1, 0, 4, -1],
        char_ends=[-1, -1, -1, 3, 9, -1], context="the union", answers=["union"],
    )  # fmt: skip
    put_examples(locate(str(tmp_path)), "parts/0.parquet", "question_answering", [row])
    made = maker("question_answering", 0)
    groups = list_row_groups(locate(str(tmp_path)), ["parts/0.parquet"])
    share = held_out_share(groups, max_instances=1, rank=0, world=1, columns=made.held_out_columns)
    asked = made.held_out(share)
    assert asked.windows is not None
    assert (asked.windows.contexts, asked.windows.questions) == (["the union"], ["d0"])
    assert asked.counts() == {"answer": 1}
    assert asked.batch.targets.tolist() == [[4, 4]]
    assert made.columns == ("answer_start", "answer_end")  # to learn from, a network needs no more


@pytest.mark.parametrize("task", get_args(Task))
def test_a_trial_is_a_batch_of_the_task(task: Any) -> None:
    batch = maker(task).trial(SimpleNamespace(max_position_embeddings=64), 640)
    assert set(np.diff(batch.offsets)) == {64}
    assert len(batch.values) == 640
    assert len(batch) == (5 if task == "embedding" else 10)
    assert batch.counts()[LOSSES[task]] > 0
