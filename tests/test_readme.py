"""The README is true: its commands and its Python run here, as a reader would type them.

They run in a copy of the house, on the demo corpus, with ``--limit 512`` and the like made smaller to save minutes. The
first starts a Ray of its own, as on a laptop; the others find a cluster by ``RAY_ADDRESS``. CI runs ``make test``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.convert import convert
from jobs.embed import embed
from jobs.entry import parser_of
from jobs.evaluate import evaluate
from jobs.finetune import finetune
from jobs.launch import parser_for
from jobs.predict import predict
from jobs.prepare import prepare
from jobs.pretrain import pretrain
from jobs.runs import runs
from tests.faults.nodes import Head
from tests.servers import S3Server

pytestmark = pytest.mark.timeout(600)

JOBS = (convert, embed, evaluate, finetune, predict, prepare, pretrain, runs)
HOUSE = Path(__file__).parent.parent
README = (HOUSE / "README.md").read_text()
SHARD = "sotu/sotu-00-of-08.parquet"


def blocks(language: str) -> list[str]:
    """The README's fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS, PYTHON = blocks("bash"), blocks("python")
(BY_CONFIG,) = (command for command in COMMANDS if "--config" in command and command.count("--") == 2)
SHORTER = {
    "--limit 512": "--limit 40",
    "make predict": "make predict STEPS=2 ROWS=24",
    "--spec.max_steps 2000": "--spec.max_steps 2",
    "make pretrain": "make pretrain STEPS=2",
    "--spec.epochs 2": "--spec.max_steps 2",
    "make evaluate": "make evaluate",  # it is short
    "jobs.runs": "jobs.runs",
}
MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
"""What ``make test`` tells a make that its tests start: a reader's make is nobody's."""
(LAUNCHED,) = (command for command in COMMANDS if "jobs.launch" in command and "--wait" in command)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A folder as a reader has it, and what the commands said there: each is run once."""

    folder: Path
    cluster: dict[str, str]
    """The environment of those who have a cluster."""
    told: dict[str, str] = field(default_factory=dict)

    def run(self, command: str) -> str:
        """What a command of the README prints."""
        if command not in self.told:
            environment = dict(os.environ) if command == COMMANDS[0] else self.cluster
            shorter = reduce(lambda text, pair: text.replace(*pair), SHORTER.items(), command)
            self.told[command] = self.call(["bash", "-ec", shorter], environment)
        return self.told[command]

    def call(self, words: list[str], environment: dict[str, str]) -> str:
        """What a process in the folder prints, in a shell where the virtual environment is active."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {name: value for name, value in environment.items() if name not in MAKE}
        done = subprocess.run(
            words, cwd=self.folder, env=own | {"PATH": path}, capture_output=True, text=True, timeout=580, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server, head: Head) -> Desk:
    """The house, the demo corpus on disk, and a shard of it in a bucket."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("jobs", "pipelines", "examples"):
        shutil.copytree(HOUSE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".gitignore", ".rayignore", "Makefile", "requirements.lock"):
        shutil.copy(HOUSE / name, folder)
    _set_up(folder)
    desk = Desk(folder=folder, cluster=head.environment)
    desk.call([sys.executable, "-m", "examples.demo_corpus", "--output", "build/sotu"], dict(os.environ))
    client = s3_server.client()
    for bucket in ("corpus", "vectors"):
        client.call_s3("create_bucket", Bucket=bucket)
    client.put(str(folder / "build" / SHARD), f"corpus/{SHARD}")
    return desk


def _set_up(folder: Path) -> None:
    """What ``make`` takes for a .venv that is complete: the Python of the tests."""
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    shutil.copy(HOUSE / "requirements.lock", folder / ".venv")


def test_the_examples_are_there() -> None:
    assert len(COMMANDS) >= 6
    assert len(PYTHON) >= 5
    assert all(any(words in block for words in ("--text", "--dry_run", *SHORTER)) for block in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str, desk: Desk) -> None:
    if "jobs.runs" in command:
        desk.run(COMMANDS[0])
    told = desk.run(command)
    if command == LAUNCHED:
        assert re.search(r"^embed \S+: 40 documents, 40 rows", told, re.MULTILINE)
    elif "--dry_run" in command:
        assert "pipelines (" in told
        assert "embed plan: " in told
    elif "--plan" in command:
        assert told.startswith("embed plan: 40 documents in 1 of 8 shards to do, 1 slice\n")
        assert re.search(r"^encode actors +tokenize actors +time +gpu +cpu +cost", told, re.MULTILINE)
        assert not (desk.folder / "build/planned").exists()
    elif command.startswith("make predict"):
        assert "2 steps" in told
        assert re.search(r"predict \S+: 24 documents", told)
        assert "Most surprising:" in told
        assert told.rstrip().splitlines()[-1].startswith('{"tokens": ["[CLS]", "the", "president"')
    elif command.startswith("make pretrain"):
        finished = json.loads((desk.folder / "build/sotu-bert-2-steps/_manta/finished.json").read_text())
        assert finished["step"] == 2  # now, or by make predict before
        assert '{"tokens": ["[CLS]", "the", "president"' in told
        assert "Curves: build/sotu-bert-2-steps/curves.png" in told
    elif command.startswith("make evaluate"):
        assert "similarity: 1,225 pairs" in told
        assert re.search(r"spearman +0\.5[01]\d\d\b", told)
    elif "jobs.pretrain" in command:
        assert re.search(r"^prepare \S+: 40 documents", told, re.MULTILINE)
        assert re.search(r"^pretrain \S+: 2 steps", told, re.MULTILINE)
    elif "jobs.finetune" in command:
        assert re.search(r"^finetune \S+: 2 steps", told, re.MULTILINE)
    elif "jobs.runs" in command:
        assert "there now: 40 rows in 1 parts, 0 dead letters" in told
        assert f"{desk.folder}/build/vectors: nothing to remove" in told
        assert "proved: 1 parts of 38 rows read again, 0 have them" in told
    elif "jobs.convert" in command:
        assert re.search(r"^convert \S+: 2 documents in 1 shard", told, re.MULTILINE)
        assert re.search(r"^embed \S+: 2 documents, 2 rows", told, re.MULTILINE)
    else:
        assert told.startswith(("embed", "predict", "[-0.", "[0.", '{"tokens"'))


@pytest.mark.parametrize("code", PYTHON)
def test_python(code: str, desk: Desk) -> None:
    desk.run(BY_CONFIG)
    for command in COMMANDS:
        if any(f"{output}/" in code for output in re.findall(r"--output (build/\S+)", command)):
            desk.run(command)
    told = desk.call([sys.executable, "-c", code], dict(os.environ))
    assert told or "print" not in code


def test_the_outputs_are_as_the_readme_says(desk: Desk, s3_server: S3Server) -> None:
    for command in COMMANDS:
        desk.run(command)
    table = rows(desk.folder / "build/sotu-vectors")
    assert table.column_names == ["id", "embedding", "num_tokens", "truncated", "year", "president"]
    assert str(table.schema.field("embedding").type) == "fixed_size_list<element: float>[384]"
    assert b"manta.model_hash" in table.schema.metadata
    assert {key.split("/")[1] for key in s3_server.keys("vectors")} == {"parts", "_manta"}


def test_a_launched_job_gives_what_the_same_job_gives_here(desk: Desk, s3_server: S3Server) -> None:
    desk.run(LAUNCHED)
    desk.run(BY_CONFIG)
    (output,) = re.findall(r"--output s3://(\S+)/", LAUNCHED)
    assert rows(output, s3_server.client()).equals(rows(desk.folder / "build/sotu-vectors"))


def rows(output: Path | str, filesystem: Any = None) -> pa.Table:
    """Every row of an output, in order of ids."""
    return pq.read_table(f"{output}/parts", filesystem=filesystem, partitioning=None).sort_by("id")


def test_every_flag_named_is_a_flag() -> None:
    help_text = "".join(parser_of(job).format_help() for job in JOBS)
    help_text += parser_for("embed").format_help()
    others = {"working", "whole", "num_shards"}  # of other commands
    flags = set(re.findall(r"--([a-z_]+(?:\.[a-z_]+)*)", README)) - others
    assert {flag for flag in flags if f"--{flag}" not in help_text} == set()


def test_every_file_named_is_there() -> None:
    linked = re.findall(r"\]\(([^)#:]+)\)", README)
    assert linked
    assert [name for name in linked if not (HOUSE / name).exists()] == []
