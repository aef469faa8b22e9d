from __future__ import annotations

import pyarrow as pa

from pipelines.instances import HELD_OUT, INSTANCES, NO_LABEL


def test_an_instance_survives_the_contract() -> None:
    row = {"input_ids": [101, 7592, 102, 2088, 102], "segment_b_start": 3, "next_sentence_label": 1, "num_tokens": 5}
    alone = {"input_ids": [101, 102], "segment_b_start": 0, "next_sentence_label": NO_LABEL, "num_tokens": 2}
    assert pa.Table.from_pylist([row, alone], INSTANCES).to_pylist() == [row, alone]
    assert not any(field.nullable for field in INSTANCES)


def test_held_out_instances_are_no_parts() -> None:
    assert not HELD_OUT.startswith("parts/")
    assert HELD_OUT.endswith("/")
