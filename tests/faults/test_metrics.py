"""Metrics at a real node's endpoint. What runs export is read where such runs are: test_launch, pretrain_submitted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.run.metrics import TABLE
from tests.endpoint import kinds, runs_told, text_of
from tests.faults.nodes import Head
from tests.faults.runs import Job, flags_for, without_ray
from tests.tiny import write_shard


@pytest.mark.timeout(300)
def test_shards_set_aside_are_told_also_where_nobody_needed_ray(tiny_model: Path, head: Head, tmp_path: Path) -> None:
    """A shard comes that nobody can read, and nothing else: the exit code is told all the same, and 0 is not."""
    corpus, output, other = (tmp_path / name for name in ("corpus", "vectors", "other"))
    write_shard(corpus / "a.parquet", 4)
    assert without_ray(tiny_model, corpus, output) == 0
    (corpus / "b.parquet").write_text("no Parquet")
    shutil.copytree(output, other)
    job = Job(flags=(*flags_for(tiny_model), "--documents", str(corpus)), environment=head.environment)
    before = runs_told(text_of(head))
    first = job.run(output)
    assert (first.code, first.err) == (3, "")
    assert job.run(output).code == 0  # it was set aside before
    lost = job.under(RAY_ADDRESS="127.0.0.1:9").run(other)
    assert lost.code == 3
    assert lost.err.startswith("the exit code is told by no metric: no Ray answers at 127.0.0.1:9")
    after = runs_told(text_of(head))
    assert after["embed", "3"] == before.get(("embed", "3"), 0) + 1
    assert after.get(("embed", "0"), 0) == before.get(("embed", "0"), 0)
    known = {metric.exported: (metric.kind, metric.told) for metric in TABLE}
    told = kinds(text_of(head))
    assert told
    assert told.items() <= known.items()
