"""What the tests of faults share: one model, one corpus, one head, and the output of a run that nothing disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.nodes import Head, ray_head
from tests.faults.runs import NUM_SHARDS, SHARD_ROWS, Corpus, Job, check_whole, flags_for
from tests.servers import S3Server
from tests.tiny import save_model, write_shard


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's folder."""
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Four shards, 80 slices."""
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(NUM_SHARDS):
        write_shard(folder / f"shard-{number}.parquet", SHARD_ROWS, first=number * SHARD_ROWS)
    return Corpus(folder=folder)


@pytest.fixture(scope="session")
def head(s3: S3Server) -> Iterator[Head]:
    """A head of four CPUs with a job server, whose workers may use the S3 server."""
    with ray_head("--num-cpus=4", "--include-dashboard=true") as head:
        yield head


@pytest.fixture(scope="session")
def job(model: Path, corpus: Corpus, head: Head) -> Job:
    """The job over the corpus, on the head."""
    return Job(flags=(*flags_for(model), "--documents", str(corpus.folder)), environment=head.environment)


@pytest.fixture(scope="session")
def undisturbed(job: Job, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run that nothing disturbed."""
    output = tmp_path_factory.mktemp("undisturbed") / "vectors"
    run = job.run(output)
    assert run.code == 0, run.err
    check_whole(output, corpus.ids)
    return output
