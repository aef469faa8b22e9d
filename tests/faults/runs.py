"""Runs of the real job in processes of their own, and what they leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.spec import EmbedSpec, Slicing
from tests.sources import ROOT
from tests.tiny import embed_in_turn, parts

NUM_SHARDS = 4
SHARD_ROWS = 240
SLICE_ROWS = 20
ENDLESS_SLICES = 5000
PATIENCE_SECONDS = 240


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Shards in a folder, with ids from 0 on."""

    folder: Path
    num_documents: int = NUM_SHARDS * SHARD_ROWS

    @property
    def ids(self) -> list[int]:
        """Every id, in order."""
        return list(range(self.num_documents))


def flags_for(model: Path) -> tuple[str, ...]:
    """What is the same in all runs here. One thread an encoder, as in the run that nothing disturbs."""
    slices = ("--slicing.max_rows", str(SLICE_ROWS))
    return ("--spec.model", str(model), *slices, "--gpu.num_threads", "1", "--progress", "log")


def without_ray(model: Path, documents: Path, output: Path, **order: Any) -> int:
    """The same request, done in this process, one slice after another where nothing disturbs: its exit code."""
    slicing = Slicing(max_rows=SLICE_ROWS)
    return embed_in_turn(EmbedSpec(model=str(model)), documents, output, slicing=slicing, **order).exit_code


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command of the job, less the output, and the environment that it runs in."""

    flags: tuple[str, ...]
    environment: dict[str, str]
    module: str = "jobs.embed"

    def start(self, output: Path | str, *flags: str) -> subprocess.Popen[str]:
        """The run, started; its last words are in ``stderr``."""
        command = self.command(output, *flags)
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, output: Path | str, *flags: str) -> Ended:
        """The run from its start to its end."""
        return ended(self.start(output, *flags))

    def command(self, output: Path | str, *flags: str) -> list[str]:
        """The words of the command; later flags win."""
        return [sys.executable, "-m", self.module, "--output", str(output), *self.flags, *flags]

    def under(self, **variables: str) -> Job:
        """The same job with further variables in its environment."""
        return replace(self, environment=self.environment | variables)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run ended."""

    code: int
    out: str = field(repr=False, default="")
    err: str = ""


def ended(run: subprocess.Popen[str]) -> Ended:
    """Wait for a run's end."""
    out, err = run.communicate(timeout=PATIENCE_SECONDS)
    return Ended(code=run.returncode, out=out, err=err)


def until(seen: Callable[[], bool], run: subprocess.Popen[str], poll_seconds: float = 0.02) -> None:
    """Return once this is so; AssertionError with the run's last words where it ends before."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not seen():
        assert run.poll() is None or seen(), f"the run ended with {run.returncode}: {run.communicate()}"
        assert time.monotonic() < end, "nothing happened"
        time.sleep(poll_seconds)


def num_parts(output: Path) -> int:
    """Parts that are there."""
    return sum(len(files) for _, _, files in os.walk(output / "parts"))


def check_whole(output: Path, ids: Sequence[int]) -> None:
    """Each id once, and a manifest that has just the parts that are there, in the versions that are there."""
    there = {str(path.relative_to(output)): path for path in output.glob("parts/*/*.parquet")}
    found = [row for path in there.values() for row in pq.read_table(path, columns=["id"])["id"].to_pylist()]
    assert sorted(found) == list(ids)
    live = [row for row in pq.read_table(output / "_manta/manifest.parquet").to_pylist() if row["removed_run"] is None]
    versions = {key: str(path.stat().st_mtime_ns) for key, path in there.items()}
    assert {row["part"]: row["part_version"] for row in live} == versions
    assert len(live) == len(versions)
    assert sum(row["num_rows"] for row in live) == sum(row["num_documents"] for row in live) == len(ids)


def check_same(output: Path, other: Path) -> None:
    """The same parts, by name and by every byte."""
    ours, theirs = parts(output), parts(other)
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if ours[key] != theirs[key]] == []
