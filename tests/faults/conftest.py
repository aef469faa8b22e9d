"""What the tests of faults share: one model, one corpus, and the output of a run that nothing disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.faults.nodes import Head
from tests.faults.runs import (
    ENDLESS_SLICES,
    NUM_SHARDS,
    SHARD_ROWS,
    SLICE_ROWS,
    Corpus,
    Job,
    check_whole,
    flags_for,
    without_ray,
)
from tests.tiny import write_shard


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Four shards, 48 slices."""
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(NUM_SHARDS):
        write_shard(folder / f"shard-{number}.parquet", SHARD_ROWS, first=number * SHARD_ROWS)
    return Corpus(folder=folder)


@pytest.fixture(scope="session")
def endless(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard to stand behind the others, which takes far longer than anybody waits before a run is stopped."""
    path = tmp_path_factory.mktemp("endless") / "z-endless.parquet"
    write_shard(path, ENDLESS_SLICES * SLICE_ROWS, first=corpus.num_documents)
    return path


@pytest.fixture(scope="session")
def job(tiny_model: Path, corpus: Corpus, head: Head) -> Job:
    """The job over the corpus, on the head."""
    return Job(flags=(*flags_for(tiny_model), "--documents", str(corpus.folder)), environment=head.environment)


@pytest.fixture(scope="session")
def undisturbed(tiny_model: Path, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of the same stages in one process, which nothing disturbs."""
    output = tmp_path_factory.mktemp("undisturbed") / "vectors"
    assert without_ray(tiny_model, corpus.folder, output) == 0
    check_whole(output, corpus.ids)
    return output


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the worker has: other numbers of threads add up in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
