"""From s3:// to s3://, by the real command, against a server that checks signatures and conditions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.faults.nodes import Head
from tests.faults.runs import Corpus, Job, ended, flags_for, until
from tests.servers import S3Server
from tests.tiny import rows


@pytest.fixture(scope="module")
def bucket(s3: S3Server, corpus: Corpus) -> str:
    """A bucket with the corpus in two folders."""
    name = s3.bucket()
    for number, path in enumerate(sorted(corpus.folder.iterdir())):
        s3.client().pipe_file(f"{name}/corpus/{'old' if number < 2 else 'new'}/{path.name}", path.read_bytes())
    return name


@pytest.fixture(scope="module")
def remote(model: Path, head: Head, bucket: str) -> Job:
    """The job over the corpus in the bucket, given as a list of a glob and a folder."""
    documents = f'["s3://{bucket}/corpus/old/*.parquet", "s3://{bucket}/corpus/new/"]'
    return Job(flags=(*flags_for(model), "--documents", documents), environment=head.environment)


def parts(s3: S3Server, folder: str) -> list[str]:
    """Paths of the parts under bucket/folder."""
    return s3.client().glob(f"{folder}/parts/*/*.parquet")


@pytest.mark.timeout(600)
def test_killed_held_and_run_again(remote: Job, s3: S3Server, bucket: str, corpus: Corpus, undisturbed: Path) -> None:
    folder = f"{bucket}/vectors"
    output = f"s3://{folder}"
    run = remote.start(output)
    until(lambda: len(parts(s3, folder)) > 10, run, poll_seconds=0.1)
    run.kill()
    ended(run)
    assert 10 < len(parts(s3, folder)) < len(list(undisturbed.glob("parts/*/*")))
    run = remote.start(output)
    until(lambda: f"process {run.pid} " in holder(s3, folder), run, poll_seconds=0.1)
    second = remote.run(output)
    assert (second.code, second.err.count("\n")) == (4, 1), second.err
    first = ended(run)
    assert first.code == 0, first.err
    assert "waiting up to" not in first.err
    assert vectors(s3, folder) == sorted(rows(undisturbed), key=lambda row: row["id"])
    assert s3.unfinished(bucket) == []
    again = remote.run(output)
    assert (again.code, "nothing to do" in again.out) == (0, True), again.out
    assert [key for key in s3.keys(bucket) if key.startswith("_") or "tmp" in key] == []


def holder(s3: S3Server, folder: str) -> str:
    """Who holds the output: "process 12 ", and nothing once it is given back."""
    claim = json.loads(s3.client().cat_file(f"{folder}/_manta/lease.json"))
    return "" if claim["released"] else f"process {claim['owner']['pid']} "


def vectors(s3: S3Server, folder: str) -> list[dict[str, Any]]:
    """Every row that the manifest's live parts hold, in order of ids."""
    client = s3.client()
    with client.open(f"{folder}/_manta/manifest.parquet") as file:
        live = [row["part"] for row in pq.read_table(file).to_pylist() if row["removed_run"] is None]
    found = []
    for part in live:
        with client.open(f"{folder}/{part}") as file:
            found += pq.read_table(file).to_pylist()
    return sorted(found, key=lambda row: row["id"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("output", "environment", "word"),
    [
        ("s3://{bucket}/other", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "secret key"),
        ("s3://never-made-before/vectors", {}, "no such bucket"),
    ],
)
def test_what_cannot_be_reached_is_refused_in_one_line(
    remote: Job, bucket: str, output: str, environment: dict[str, str], word: str
) -> None:
    refused = remote.under(**environment).run(output.format(bucket=bucket))
    assert (refused.code, refused.err.count("\n")) == (2, 1), refused.err
    assert word in refused.err
