"""A conversion whose worker is killed, and then its driver: the next run makes what an undisturbed one makes."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from pipelines.convert_spec import ConvertSpec
from pipelines.run.convert.conversion import open_conversion
from pipelines.run.convert.convert_order import ConvertOrder
from pipelines.stages.convert import converted
from tests.faults.nodes import Head
from tests.faults.runs import Job, ended, until
from tests.tiny import sentence

NUM_DOCUMENTS = 8000
SPEC = ConvertSpec(shard_rows=50)


def shards(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in output.glob("*.parquet")}


def undisturbed(source: Path, output: Path) -> dict[str, bytes]:
    with open_conversion(ConvertOrder(source=str(source), output=str(output), progress="none").run, SPEC) as run:
        for group in run.groups:
            assert list(converted(group, run.conversion))
        assert run.finish().exit_code == 0
    return shards(output)


@pytest.mark.timeout(600)
def test_killed_workers_and_drivers_lose_and_double_nothing(head: Head, tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out"
    rows = ({"id": n, "text": sentence(n)} for n in range(NUM_DOCUMENTS))
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = Job(
        flags=("--source", str(source), "--spec.shard_rows", "50", "--progress", "log"),
        environment=head.environment,
        module="jobs.convert",
    )
    run = job.start(output)
    until(lambda: len(list(output.glob("*.parquet"))) >= 5, run)
    (worker,) = head.workers("ReadGroupSource")
    worker.kill()
    until(lambda: any(other.pid != worker.pid for other in head.workers("ReadGroupSource")), run)
    run.kill()
    assert ended(run).code == -9
    assert not list(output.glob("_manta/done/*"))
    last = job.run(output)
    assert last.code == 0, last.err
    assert "1 file begins again" in last.err
    assert shards(output) == undisturbed(source, tmp_path / "other")
    found = duckdb.sql(f"select count(*), count(distinct id), max(id) from '{output}/*.parquet'").fetchall()
    assert found == [(NUM_DOCUMENTS, NUM_DOCUMENTS, NUM_DOCUMENTS - 1)]
