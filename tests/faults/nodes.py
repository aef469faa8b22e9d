"""Real Ray heads and clusters for tests: their own ports, folder and token; ended by ids, with all they started."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import QUIET

BIN = Path(sys.executable).parent
HEAD_ID = "f" * 51 + "00000"  # the fake cloud gives its nodes such ids, and must know the head's
FAKE_CLOUD = {
    "RAY_FAKE_CLUSTER": "1",
    "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
}
STORE = "--object-store-memory=200000000"
NOTICE_SECONDS = 20
CLUSTER = f"""
import subprocess, sys
from ray.cluster_utils import Cluster

cluster = Cluster()
cluster.add_node(num_cpus=0, include_dashboard=False)
node = cluster.add_node(num_cpus=4)
print(cluster.address, flush=True)
for line in sys.stdin:
    last = node
    if line.strip() == "replace":
        cluster.remove_node(node, allow_graceful=False)
    node = cluster.add_node(num_cpus=4)
    if line.strip() == "preempt":
        command = ["ray", "drain-node", "--address", cluster.address, "--node-id", last.node_id, "--reason"]
        command += ["DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "a test", "--deadline-remaining-seconds"]
        subprocess.run([*command, "{NOTICE_SECONDS}"], check=True, stdout=sys.stderr)
    print("done", flush=True)
"""


@dataclass(frozen=True, kw_only=True)
class Head:
    """A running head. ``environment`` is what its drivers need; they are told its address by it."""

    folder: Path
    pid: int
    dashboard: str
    environment: dict[str, str]

    def workers(self, doing: str) -> list[psutil.Process]:
        """Its worker processes that bear this in their title, such as "MapBatches(PartWriter)"."""
        return workers(self.pid, doing)


@dataclass(frozen=True, kw_only=True)
class TwoNodes:
    """A head without CPUs, and a node with four."""

    environment: dict[str, str]
    process: subprocess.Popen[str]

    def replace_node(self) -> None:
        """Kill the node with all that runs there, and add another in its place."""
        self._tell("replace")

    def add_node(self) -> None:
        """Add another node with four CPUs."""
        self._tell("add")

    def preempt_node(self) -> None:
        """Add another node, and give the one before notice that it will be taken away."""
        self._tell("preempt")

    def _tell(self, what: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def workers(self, doing: str) -> list[psutil.Process]:
        """Its worker processes that bear this in their title."""
        return workers(self.process.pid, doing)


@contextmanager
def ray_head(
    *flags: str, may_add: dict[str, Any] | None = None, variables: Mapping[str, str] | None = None
) -> Iterator[Head]:
    """`ray start --head` with these further flags. Only holders of its token, which is in the environment, get in.

    ``variables`` come into the environment of the head and of its drivers. ``may_add`` are resources of the one node
    that its autoscaler may add. (Ray's own AutoscalingCluster ends every Ray on the machine before and after; this ends
    only what it started.)
    """
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # sockets' paths must stay short
    port, client, agent, dashboard = free_ports(4)
    address = f"127.0.0.1:{port}"
    known = environment_in(folder) | dict(variables or {})
    if may_add is not None:
        (folder / "autoscaling.yaml").write_text(json.dumps(autoscaling(address, may_add)))
        flags = (*flags, f"--autoscaling-config={folder}/autoscaling.yaml")
        known |= FAKE_CLOUD
    command = [str(BIN / "ray"), "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}"]
    command += [f"--temp-dir={folder}/ray", f"--ray-client-server-port={client}"]
    command += [f"--dashboard-agent-listen-port={agent}", f"--dashboard-port={dashboard}", "--min-worker-port=0"]
    command += ["--max-worker-port=0", STORE, *flags]
    with (folder / "head.log").open("w") as log:
        process = subprocess.Popen(command, env=known, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_for_port(port, process, folder / "head.log")
        if "--include-dashboard=true" in flags:  # it comes up later than the rest
            wait_for_port(dashboard, process, folder / "head.log")
        url = f"http://127.0.0.1:{dashboard}"
        yield Head(folder=folder, pid=process.pid, dashboard=url, environment=known | {"RAY_ADDRESS": address})
    finally:
        end(process)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def cluster_of_two() -> Iterator[TwoNodes]:
    """Two nodes on this machine, which see the same disk."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    environment = environment_in(folder)
    with (folder / "cluster.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=log, text=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, (folder / "cluster.log").read_text()
        yield TwoNodes(environment=environment | {"RAY_ADDRESS": address}, process=process)
    finally:
        end(process)
        shutil.rmtree(folder, ignore_errors=True)


def autoscaling(address: str, resources: dict[str, Any]) -> dict[str, Any]:
    """The file that `ray up` would write for a pool of one such node, from zero, on this machine."""
    lists = ["initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands"]
    lists += ["head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files"]
    kinds = {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "pool": {"resources": resources, "node_config": {}, "min_workers": 0, "max_workers": 1},
    }
    return {
        "cluster_name": "test",
        "max_workers": 1,
        "idle_timeout_minutes": 5,
        "provider": {"type": "fake_multinode", "gcs_address": address, "head_node_id": HEAD_ID},
        "head_node_type": "ray.head.default",
        "available_node_types": kinds,
        "auth": {},
        "file_mounts": {},
        **{name: [] for name in lists},
    }


def environment_in(folder: Path) -> dict[str, str]:
    """This process' environment with this Python first, and all that Ray writes, its token too, in the folder."""
    token = folder / "home" / ".ray" / "auth_token"
    token.parent.mkdir(parents=True)
    token.write_text(secrets.token_hex(32))
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | QUIET
    ours |= {"RAY_AUTH_MODE": "token", "RAY_TMPDIR": str(folder), "HOME": str(folder / "home")}
    return ours | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Kill a process and all that it started, each by its id: they are asked for nothing, which would take seconds."""
    started = descendants(process.pid)
    process.kill()
    for below in started:
        with suppress(psutil.NoSuchProcess):
            below.kill()
    process.wait()
    psutil.wait_procs(started, timeout=10)


def descendants(pid: int) -> list[psutil.Process]:
    """The processes below this one, as they are now."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def workers(pid: int, doing: str) -> list[psutil.Process]:
    """The Ray workers below this process that bear this in their title, such as "MapBatches(PartWriter)"."""
    found = []
    for process in descendants(pid):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            title = process.cmdline()[:1]
            if title and title[0].startswith("ray::") and doing in title[0]:
                found.append(process)
    return found


def free_ports(count: int) -> Sequence[int]:
    """Ports that nobody listens on."""
    held = [socket.socket() for _ in range(count)]
    try:
        for probe in held:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in held]
    finally:
        for probe in held:
            probe.close()


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> None:
    """Return once the port answers; RuntimeError with the log's end where the process ends before."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing answers at port {port}:\n{log.read_text(errors='replace')[-2000:]}")
