from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.store.class_names import read_class_names
from pipelines.store.shards import list_shards

NAMES = {"names": ["neg", "pos"], "_type": "ClassLabel"}


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        (json.dumps({"info": {"features": {"label": NAMES}}}), ["neg", "pos"]),
        (json.dumps({"info": {"features": {"label": {"feature": NAMES, "_type": "Sequence"}}}}), ["neg", "pos"]),
        (json.dumps({"info": {"features": {"label": [NAMES]}}}), ["neg", "pos"]),
        (json.dumps({"info": {"features": {"label": {"dtype": "int64", "_type": "Value"}}}}), []),
        (json.dumps({"info": {"features": {"other": NAMES}}}), []),
        (json.dumps([1]), []),
        ("no JSON", []),
        (None, []),
    ],
)
def test_names_are_in_the_footer(tmp_path: Path, note: Any, expected: list[str]) -> None:
    table = pa.table({"label": [0, 1]})
    table = table if note is None else table.replace_schema_metadata({"huggingface": note})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_class_names(list_shards(str(tmp_path))[0], "label") == expected
