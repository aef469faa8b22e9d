"""Prepare, its makers and its driver killed in midstream: what comes of it is what nothing disturbed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.prepare_spec import PrepareSpec
from pipelines.spec import Slicing
from pipelines.store.instances import InstanceOutput
from tests.faults.nodes import Head
from tests.faults.runs import Job, ended, num_parts, until
from tests.prepared import prepare_in_turn
from tests.tiny import parts, sentence, write_shard

SLICE_ROWS = 10


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Four shards of documents of some lines each."""
    for shard in range(4):
        texts = [
            "\n".join(sentence(7 * n + m, 4 + m % 5) for m in range(3 + n % 8))
            for n in range(shard * 200, shard * 200 + 200)
        ]
        write_shard(tmp_path / f"corpus/{shard}.parquet", 200, 200 * shard, text=texts)
    return tmp_path / "corpus"


@pytest.mark.timeout(600)
def test_makers_and_driver_killed_leave_the_instances_of_an_undisturbed_run(
    tiny_model: Path, head: Head, documents: Path, tmp_path: Path
) -> None:
    spec = PrepareSpec(tokenizer=str(tiny_model), max_seqlen=32, sentences="lines", held_out=0.1)
    undisturbed = tmp_path / "undisturbed"
    assert prepare_in_turn(spec, documents, undisturbed, slicing=Slicing(max_rows=SLICE_ROWS)).exit_code == 0
    flags = ("--spec.tokenizer", spec.tokenizer, "--spec.max_seqlen", "32", "--spec.sentences", "lines")
    flags = (*flags, "--spec.held_out", "0.1", "--slicing.max_rows", str(SLICE_ROWS), "--progress", "log")
    job = Job(flags=("--documents", str(documents), *flags), environment=head.environment, module="jobs.prepare")
    output = tmp_path / "out"

    run = job.start(output)
    until(lambda: num_parts(output) >= 5, run)
    workers = head.workers("InstanceMaker")
    assert workers
    workers[0].kill()
    until(lambda: num_parts(output) >= 25, run)
    run.kill()
    ended(run)
    assert 25 <= num_parts(output) < 80
    last = job.run(output)
    assert last.code == 0, last.err
    assert "length_histogram" not in last.err
    assert parts(output) == parts(undisturbed)
    ours, theirs = (InstanceOutput.open(str(place)) for place in (output, undisturbed))
    assert [part.held_out for part in ours.parts] == [part.held_out for part in theirs.parts]
    held_out = [part.held_out for part in ours.parts if part.held_out]
    assert len(held_out) > 20
    assert all(ours.location.read(key) == theirs.location.read(key) for key in held_out)
