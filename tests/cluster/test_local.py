"""Two nodes on this machine by cluster/local.sh: real ones, with a real job on them, ended by their ids."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from tests.cluster.files import path_of
from tests.faults.nodes import BIN
from tests.offline import Offline
from tests.sources import ROOT
from tests.tiny import write_shard

pytestmark = pytest.mark.timeout(300)

SCRIPT = str(path_of("local.sh"))
ROWS = 12
NODES = """
import ray
ray.init(address="auto", logging_level="ERROR", log_to_driver=False)
print([(node["Resources"].get("CPU", 0), node["Labels"].get("manta-pool")) for node in ray.nodes()])
"""
SESSION = f"""
echo "token: $(stat -c %a "$RAY_AUTH_TOKEN_PATH") $RAY_AUTH_TOKEN_PATH"
{sys.executable} -c '{NODES}'
env -u RAY_AUTH_TOKEN_PATH HOME=/nonexistent ray status >/dev/null 2>&1 && echo "a stranger came in"
"$@"
code=$?
exit $((code + 7))
"""


@pytest.fixture
def job(tiny_model: Path, tmp_path: Path) -> list[str]:
    """A job over a few rows, into tmp_path/vectors."""
    write_shard(tmp_path / "corpus/shard.parquet", ROWS)
    flags = ["--documents", str(tmp_path / "corpus"), "--output", str(tmp_path / "vectors")]
    flags += ["--spec.model", str(tiny_model), "--slicing.max_rows", "4", "--progress", "log"]
    return [sys.executable, "-m", "jobs.embed", *flags]


@pytest.fixture
def environment() -> dict[str, str]:
    """This environment without a Ray of somebody else's, and with this Python's ray."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return ours | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "STORE_BYTES": "100000000", "CPUS": "2"}


def left_of(folder: str) -> list[list[str]]:
    """Commands of processes that still speak of a folder."""
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [words for words in commands if any(folder in word for word in words)]


def test_a_command_runs_on_two_nodes_which_end_with_it(
    job: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    """The head has no CPUs, so all of the job was done by the other node. No process asked for anything outside."""
    offline = Offline.within(tmp_path / "offline")
    done = offline.run([SCRIPT, "bash", "-c", SESSION, "session", *job], environment)
    assert done.returncode == 7, done.stderr
    assert offline.tried() == []
    found = re.search(r"^token: 600 (/tmp/ray-\w+)/token$", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    assert "[(0, None), (2.0, 'cpu')]" in done.stdout or "[(2.0, 'cpu'), (0, None)]" in done.stdout
    assert "a stranger came in" not in done.stdout
    assert f"{ROWS} documents, {ROWS} rows" in done.stdout
    assert sorted(pq.read_table(tmp_path / "vectors/parts", columns=["id"])["id"].to_pylist()) == list(range(ROWS))
    assert not Path(found[1]).exists()
    assert left_of(found[1]) == []


def test_without_a_command_it_says_how_to_join_and_ends_when_told_to(
    job: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    """And a node of the pool for trainings is not to be had by other jobs."""
    nodes = subprocess.Popen([SCRIPT], cwd=ROOT, env=environment | {"POOL": "train"}, stdout=subprocess.PIPE, text=True)
    try:
        assert nodes.stdout is not None
        words = nodes.stdout.readline().split()
        assert words[0] == "export"
        variables = dict(word.split("=", 1) for word in words[1:])
        assert variables["RAY_AUTH_MODE"] == "token"
        refused = subprocess.run(
            job, cwd=ROOT, env=environment | variables, capture_output=True, text=True, timeout=200, check=False
        )
        assert (refused.returncode, refused.stderr.splitlines()[-1].split(" (")[0]) == (
            2, "SpecError: the cluster has no CPU to give"
        )  # fmt: skip
    finally:
        nodes.send_signal(signal.SIGTERM)
        assert nodes.wait(timeout=60) == 143
    assert left_of(str(Path(variables["RAY_AUTH_TOKEN_PATH"]).parent)) == []
