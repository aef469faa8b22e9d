"""A Ray of this machine takes jobs as a cluster does, also beside others, and ends with whoever started it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.faults.nodes import Head
from tests.sources import ROOT

AGENT = 52365
"""The port that every Ray's agent wants."""
SCRIPT = """
import time
import ray
from jobs.entry import RayCluster
from jobs.head import start_head
from pipelines.run.launch.job_server import connect

address = start_head(RayCluster(num_cpus=1))
assert start_head() == address
client = connect(address)
job = client.submit_job(entrypoint="python -c 'import os, sys; print(os.environ[\\"RAY_ADDRESS\\"], sys.executable)'")
while not client.get_job_status(job).is_terminal():
    time.sleep(0.2)
print(address, ray.get_runtime_context().gcs_address, client.get_job_status(job).value, client.get_job_logs(job))
"""


@pytest.mark.timeout(180)
def test_jobs_run_here_by_this_python(head: Head) -> None:
    """Beside another Ray."""
    mark = f"MANTA_TEST_HEAD_{os.getpid()}"
    with socket.socket() as other, tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        with suppress(OSError):  # a real one has it
            other.bind(("0.0.0.0", AGENT))
            other.listen()
        own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=170, check=False,
            env=own | {mark: "1", "RAY_TMPDIR": folder, "HOME": folder, "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        ray_folders = list(Path(folder).glob("ray-*"))
    assert done.returncode == 0, done.stderr[-3000:]
    address, mine, status, *log = done.stdout.split()
    assert address.startswith("http://127.0.0.1:")
    assert status == "SUCCEEDED"
    assert log[-2:] == [mine, sys.executable]  # not the Ray of whoever is on the machine too
    assert marked(mark) == []
    assert not ray_folders


def marked(name: str) -> list[psutil.Process]:
    """The processes that have this variable."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if name in process.environ():
                found.append(process)
    return psutil.wait_procs(found, timeout=10)[1]
