from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.store.location import locate
from pipelines.text.masking import Vocabulary
from pipelines.train.row_groups import list_row_groups
from pipelines.train.token_counts import count_tokens
from tests.instances import put_part

VOCABULARY = Vocabulary(special=np.arange(12) < 3, continues=np.zeros(12, bool), mask_id=0)


def test_tokens_are_counted_and_special_ones_are_not(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    put_part(output, "parts/a/0-2.parquet", [([1, 5, 5, 9, 2], 0, 0), ([1, 5, 11, 2], 0, 0)])
    put_part(output, "parts/a/2-1.parquet", [([1, 9, 2], 0, 0)])
    groups = list_row_groups(output, ["parts/a/0-2.parquet", "parts/a/2-1.parquet"])
    counts = count_tokens(groups, VOCABULARY, 14)  # a network may have more ids than its tokenizer
    assert {number: count for number, count in enumerate(counts.tolist()) if count} == {5: 3, 9: 2, 11: 1}
    assert len(counts) == 14


def test_a_sample_is_the_same_every_time(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    put_part(output, "parts/a/0-9.parquet", [([1, 3 + n % 9, 2], 0, 0) for n in range(6000)], row_group=512)
    groups = list_row_groups(output, ["parts/a/0-9.parquet"])
    counts = count_tokens(groups, VOCABULARY, 12)
    assert counts.sum() == 4096
    assert counts.tolist() == count_tokens(groups, VOCABULARY, 12).tolist()
