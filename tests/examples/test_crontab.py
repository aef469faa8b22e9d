"""The very lines of examples/crontab, run as cron runs them: by sh, with next to nothing in the environment."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from pipelines.spec import EmbedSpec
from pipelines.store.lease import hold
from pipelines.store.location import locate
from tests.faults.nodes import Head
from tests.sources import ROOT
from tests.tiny import embed_in_turn, write_shard

LINES = [line for line in (ROOT / "examples/crontab").read_text().splitlines() if line and not line.startswith("#")]
VARIABLES = dict(line.split("=", 1) for line in LINES if re.match(r"\w+=", line))
HOURLY, WEEKLY = (line.split(maxsplit=5)[5] for line in LINES if not re.match(r"\w+=", line))


@dataclass(frozen=True)
class Machine:
    """A folder where the crontab expects one: code, Python, a config; and a corpus of ten documents."""

    folder: Path

    def run(self, command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """What cron's mail would hold. A % that is not escaped would end the command."""
        assert not re.search(r"(?<!\\)%", command)
        bare = {"HOME": str(self.folder), "LOGNAME": "manta", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}
        given = bare | VARIABLES | {"MANTA": str(self.folder)} | more
        words = ["/bin/sh", "-c", command.replace(r"\%", "%")]
        return subprocess.run(words, cwd="/", env=given, capture_output=True, text=True, timeout=300, check=False)

    @property
    def log(self) -> str:
        """What the run of this hour said."""
        (path,) = self.folder.glob("embed-*.log")
        assert re.fullmatch(r"embed-\d\d-\d\d\.log", path.name)
        return path.read_text()


@pytest.fixture
def machine(tiny_model: Path, tmp_path: Path) -> Machine:
    for name in ("jobs", "pipelines"):
        (tmp_path / name).symlink_to(ROOT / name)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    spec = {"model": str(tiny_model), "precision": "float32"}
    config = {"documents": "corpus", "output": "vectors", "spec": spec}
    (tmp_path / "embed.yaml").write_text(yaml.safe_dump(config))
    write_shard(tmp_path / "corpus/a.parquet", 10)
    return Machine(tmp_path)


@pytest.fixture
def done(machine: Machine, tiny_model: Path) -> Machine:
    """The same where all is done."""
    spec = EmbedSpec(model=str(tiny_model), precision="float32")
    embed_in_turn(spec, machine.folder / "corpus", machine.folder / "vectors")
    return machine


def test_what_is_new_is_done_and_nothing_mailed(machine: Machine, head: Head) -> None:
    ray = {name: value for name, value in head.environment.items() if name.startswith("RAY_") or name == "HOME"}
    told = machine.run(HOURLY, **ray)  # Ray's token lies in a file under HOME
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert re.search(r"^embed \S+: 10 documents, 10 rows", machine.log, re.MULTILINE)
    told = machine.run(WEEKLY)
    assert told.returncode == 0
    assert told.stdout.endswith("nothing to remove\n")


def test_nothing_new_is_not_mailed(done: Machine) -> None:
    told = done.run(HOURLY)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert "nothing to do" in done.log


def test_a_run_at_work_is_not_mailed(done: Machine) -> None:
    with hold(locate(str(done.folder / "vectors")), "run9", print):
        told = done.run(HOURLY)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert "LeaseError: " in done.log


def test_shards_that_were_set_aside_are_mailed(done: Machine) -> None:
    (done.folder / "corpus/b.parquet").write_bytes(b"no Parquet")
    told = done.run(HOURLY)
    assert told.stdout.startswith("exit code 3\n")
    assert "b.parquet" in told.stdout


def test_a_failure_is_mailed(done: Machine) -> None:
    (done.folder / "vectors/_manta/manifest.parquet").write_bytes(b"no Parquet")
    told = done.run(HOURLY)
    assert told.stdout.startswith("exit code 1\n")
    assert "manifest" in told.stdout


def test_a_machine_without_the_folder_is_mailed(machine: Machine) -> None:
    shutil.rmtree(machine.folder / ".venv")
    assert machine.run(HOURLY).stdout.startswith("exit code 127\n")
    told = machine.run(HOURLY, MANTA=str(machine.folder / "none"))
    assert told.returncode != 0
    assert "none" in told.stderr
