"""What a Ray that a process starts for itself needs to take jobs, beside others on its machine."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

SHORT = "/tmp"
"""Where Ray's folder is: the paths of its sockets must be short."""


@contextmanager
def own_head(stop: Callable[[], None]) -> Iterator[None]:
    """Around the start of a Ray whose head is to take jobs.

    It gets a folder of its own, which goes with this process, after ``stop``; and jobs get the Python that runs here.
    """
    folder = tempfile.mkdtemp(prefix="ray-", dir=os.environ.get("RAY_TMPDIR", SHORT))
    atexit.register(_leave, folder, stop)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # an entrypoint is "python"
    with _environment({"RAY_TMPDIR": folder, "PATH": path}), _any_agent_port():
        yield


def note_address() -> None:
    """Tell the job server which Ray is its own, as ``ray start`` does.

    It looks for one where the jobs are to join it, takes the one that is noted in its folder, and any that it finds on
    the machine where none is.
    """
    import ray
    from ray._private.utils import write_ray_address

    folder = ray._private.worker._global_node.get_temp_dir_path()
    write_ray_address(ray.get_runtime_context().gcs_address, folder)


def address_of_mine() -> str:
    """The address of the job server of the Ray that this process has joined. SpecError where it has none."""
    import ray

    from pipelines.run.launch.job_server import find_address

    return find_address(ray.get_runtime_context().gcs_address)


def _leave(folder: str, stop: Callable[[], None]) -> None:
    stop()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _environment(changed: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _any_agent_port() -> Iterator[None]:
    """Let the agent, which starts the jobs, take a port that is free. ray.init knows 52365 alone, so that where another
    Ray is on the machine there would be no agent, and each job would be refused.
    """
    from ray._private import parameter

    known = parameter.RayParams
    parameter.RayParams = partial(known, dashboard_agent_listen_port=0)
    try:
        yield
    finally:
        parameter.RayParams = known
