"""Runs with a known secret and known texts: neither is told anywhere, be it an output, a log, a metric or a job's page.

What knows the secrets are a bucket, which checks signatures, and a head, which asks for a token.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import hostile
from tests.endpoint import runs_told, text_of
from tests.faults.nodes import Head
from tests.faults.runs import PATIENCE_SECONDS, Ended, Job, flags_for
from tests.job_servers import client_of
from tests.labelled import write_rows
from tests.model.conftest import save
from tests.servers import S3Server
from tests.sources import ROOT
from tests.tiny import write_shard
from tests.train.given_task import rows

pytestmark = pytest.mark.timeout(600)
WRONG = b"wrong-secret-0123456789"
TUNING = ("--spec.task", "classification", "--spec.global_batch", "8", "--spec.max_steps", "8", "--train.num_cpus", "1")


@dataclass(frozen=True, kw_only=True)
class Told:
    """All that runs told. ``said`` is what commands, the endpoint and the job server say, by whom it is from."""

    folder: Path
    """Outputs, also those of the bucket."""
    logs: Path
    """What Ray left on the disk of its head."""
    said: Mapping[str, str]
    codes: Mapping[str, int]
    words: Mapping[str, bytes]
    """What is not to be told, by what it is."""


@pytest.fixture(scope="module")
def told(tiny_model: Path, head: Head, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Odd texts launched from bucket to bucket; a prediction and a fine-tuning of texts that all have the word."""
    folder = tmp_path_factory.mktemp("told")
    bucket, client = s3_server.bucket(), s3_server.client()
    client.put(str(hostile.write(folder / "corpus")) + "/", f"{bucket}/corpus/", recursive=True)
    words = {
        "text": hostile.CANARY.encode(),
        "key": head.environment["AWS_SECRET_ACCESS_KEY"].encode(),
        "token": (Path(head.environment["HOME"]) / ".ray/auth_token").read_bytes(),
        "wrong key": WRONG,
    }
    ended = dict(runs(folder, tiny_model, head, f"s3://{bucket}/"))
    client.get(f"{bucket}/vectors/", str(folder / "out/vectors/"), recursive=True)
    said = {name: one.out + one.err for name, one in ended.items()}
    said |= {"endpoint": text_of(head), "jobs": "".join(job.model_dump_json() for job in client_of(head).list_jobs())}
    codes = {name: one.code for name, one in ended.items()}
    return Told(folder=folder / "out", logs=head.folder / "ray", said=said, codes=codes, words=words)


def runs(folder: Path, model: Path, head: Head, bucket: str) -> Iterator[tuple[str, Ended]]:
    """The runs by their names, and how they ended."""
    flags = (*flags_for(model), "--documents", f"{bucket}corpus/")
    yield "launched", launched(head, "--output", f"{bucket}vectors/", *flags)
    embed = Job(flags=flags, environment=head.environment | {"AWS_SECRET_ACCESS_KEY": WRONG.decode()})
    yield "refused", embed.run(f"{bucket}vectors/")
    odd = [f"{hostile.CANARY} the [MASK]", None, f"{hostile.CANARY} " * 500, f"a {hostile.CANARY} [MASK]"]
    write_shard(folder / "masked/a.parquet", 4, text=odd)
    masked = save(folder / "model", "Bert", kind="ForMaskedLM")
    asked = ("--spec.model", str(masked), "--spec.outputs", "[pseudo_perplexity]", "--progress", "log")
    flags = (*asked, "--documents", str(folder / "masked"))
    predict = Job(flags=flags, environment=head.environment, module="jobs.predict")
    yield "predict", predict.run(folder / "out/predicted", "--max_dead_letters", "1")
    labelled = [row | {"text": f"{hostile.CANARY} {row['text']}"} for row in rows(40)]
    write_rows(folder / "labelled/0.parquet", [*labelled, labelled[0] | {"id": "x", "text": None}])
    asked = ("--spec.model", str(model), "--train_data", str(folder / "labelled"), *TUNING, "--progress", "log")
    finetune = Job(flags=asked, environment=head.environment, module="jobs.finetune")
    yield "finetune", finetune.run(folder / "out/tuned")


def launched(head: Head, *flags: str) -> Ended:
    """An embedding that is submitted and followed to its end."""
    command = [sys.executable, "-m", "jobs.launch", "embed", "--address", head.dashboard, "--wait", *flags]
    done = subprocess.run(
        command, cwd=ROOT, env=head.environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    return Ended(code=done.returncode, out=done.stdout, err=done.stderr)


def telling(folder: Path, word: bytes) -> list[str]:
    """Files under a folder in whose bytes a word stands."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    return [str(path.relative_to(folder)) for path in files if word in path.read_bytes()]


def test_the_runs_did_what_they_are_there_for(told: Told) -> None:
    assert told.codes == {"launched": 3, "refused": 2, "predict": 0, "finetune": 0}, told.said
    assert runs_told(told.said["endpoint"])["embed", "3"] >= 1
    for place in ("vectors/_manta/manifest.parquet", "predicted/_manta/runs", "tuned/model.safetensors"):
        assert (told.folder / place).exists()
    assert list(told.folder.glob("vectors/_manta/dead_letters/*/*"))
    assert "the secret key does not fit the access key" in told.said["refused"]


def test_outputs_tell_neither(told: Told) -> None:
    assert hostile.leaks(told.folder) == []
    assert {name: telling(told.folder, word) for name, word in told.words.items()} == {name: [] for name in told.words}


def test_rays_logs_tell_neither(told: Told) -> None:
    assert {path.name for path in told.logs.glob("session_2*/logs/*")} >= {"raylet.out", "gcs_server.out"}
    assert list(told.logs.glob("session_2*/logs/job-driver-embed-*.log"))
    assert {name: telling(told.logs, word) for name, word in told.words.items()} == {name: [] for name in told.words}


def test_commands_the_endpoint_and_the_pages_of_jobs_tell_neither(told: Told) -> None:
    assert {"launched", "endpoint", "jobs"} <= told.said.keys()
    assert "entrypoint" in told.said["jobs"]
    for who, text in told.said.items():
        assert [name for name, word in told.words.items() if word.decode() in text] == [], who


def test_what_is_told_would_be_found(told: Told, tmp_path: Path) -> None:
    """The texts are there, in what was read; the secrets were used."""
    word = told.words["text"]
    write_shard(tmp_path / "deep/a.parquet", 2, text=["", hostile.CANARY])
    (tmp_path / "deep/log").write_bytes(b"x" * 100 + word + b"\0")
    assert hostile.leaks(tmp_path) == ["deep/a.parquet", "deep/log"]
    assert "deep/log" in telling(tmp_path, word)
