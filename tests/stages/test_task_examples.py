from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipelines.examples import examples_schema
from pipelines.stages.task_examples import TaskExamples, int_lists


def test_columns_are_those_of_the_contract() -> None:
    made = TaskExamples(
        task="multi_label",
        document=np.array([0, 0]),
        values=np.array([101, 102, 101, 7, 102], np.int32),
        offsets=np.array([0, 2, 5]),
        segment_b_start=np.array([0, 1], np.int32),
        targets={"labels": int_lists(np.array([0, 2], np.int32), np.array([0, 2, 2]))},
    )
    columns = made.columns()
    table = pa.Table.from_arrays(list(columns.values()), schema=pa.schema(list(columns)))
    assert table.schema == examples_schema("multi_label")
    assert table.to_pylist()[1] == {
        "input_ids": [101, 7, 102],
        "segment_b_start": 1,
        "next_sentence_label": -100,
        "num_tokens": 3,
        "labels": [],
    }
