"""From s3:// to s3://, by the real command, against a server that checks signatures and conditions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from s3fs import S3FileSystem

from tests.faults.nodes import Head
from tests.faults.runs import ENDLESS_SLICES, Corpus, Job, ended, flags_for, until
from tests.servers import S3Server
from tests.tiny import rows


@pytest.fixture(scope="module")
def client(s3_server: S3Server) -> S3FileSystem:
    """Somebody who looks from outside at what is there."""
    return s3_server.client()


@pytest.fixture(scope="module")
def bucket(s3_server: S3Server, client: S3FileSystem, corpus: Corpus) -> str:
    """A bucket with the corpus in two folders."""
    name = s3_server.bucket()
    for number, path in enumerate(sorted(corpus.folder.iterdir())):
        client.pipe_file(f"{name}/corpus/{'old' if number < 2 else 'new'}/{path.name}", path.read_bytes())
    return name


@pytest.fixture(scope="module")
def remote(tiny_model: Path, head: Head, bucket: str) -> Job:
    """The job over the corpus in the bucket, given as a list of a glob and a folder."""
    documents = f'["s3://{bucket}/corpus/old/*.parquet", "s3://{bucket}/corpus/new/"]'
    flags = ("--documents", documents, "--removed", "drop")
    return Job(flags=(*flags_for(tiny_model), *flags), environment=head.environment)


@pytest.mark.timeout(600)
def test_killed_held_and_run_again(
    remote: Job, s3_server: S3Server, client: S3FileSystem, bucket: str, endless: Path, undisturbed: Path
) -> None:
    """Killed in midstream with the endless shard in the bucket, which is taken away so that the rest can be done."""
    folder = f"{bucket}/vectors"
    output = f"s3://{folder}"
    client.put(str(endless), f"{bucket}/corpus/new/")
    run = remote.start(output)
    until(lambda: num_parts(client, folder) > 5, run, poll_seconds=0.1)
    run.kill()
    ended(run)
    assert 5 < num_parts(client, folder) < ENDLESS_SLICES
    client.rm(f"{bucket}/corpus/new/{endless.name}")
    run = remote.start(output)
    until(lambda: f"process {run.pid} " in holder(client, folder), run, poll_seconds=0.1)
    second = remote.run(output)
    assert (second.code, second.err.count("\n")) == (4, 1), second.err
    first = ended(run)
    assert first.code == 0, first.err
    assert "waiting up to" not in first.err
    assert vectors(client, folder) == sorted(rows(undisturbed), key=lambda row: row["id"])
    assert s3_server.unfinished(bucket) == []
    again = remote.run(output)
    assert (again.code, "nothing to do" in again.out) == (0, True), again.out
    assert [key for key in s3_server.keys(bucket) if key.startswith("_") or "tmp" in key] == []


def num_parts(client: S3FileSystem, folder: str) -> int:
    """Parts that are there under bucket/folder."""
    return len(client.find(f"{folder}/parts"))


def holder(client: S3FileSystem, folder: str) -> str:
    """Who holds the output: "process 12 ", and nothing once it is given back."""
    claim = json.loads(client.cat_file(f"{folder}/_manta/lease.json"))
    return "" if claim["released"] else f"process {claim['owner']['pid']} "


def vectors(client: S3FileSystem, folder: str) -> list[dict[str, Any]]:
    """Every row that the manifest's live parts hold, in order of ids."""
    manifest = pq.read_table(f"{folder}/_manta/manifest.parquet", filesystem=client)
    live = [row["part"] for row in manifest.to_pylist() if row["removed_run"] is None]
    found = [pq.read_table(f"{folder}/{part}", filesystem=client, partitioning=None).to_pylist() for part in live]
    return sorted((row for part in found for row in part), key=lambda row: row["id"])


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
