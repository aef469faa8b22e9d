"""The door of every job: flags, Ray, signals, exit codes."""

from __future__ import annotations

import inspect
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import docstring_parser
import jsonargparse

from jobs.refusals import ConfigFile, OneLineParser
from pipelines.errors import SpecError
from pipelines.run.cause import cause
from pipelines.run.ending import join_to_tell, tell_end
from pipelines.run.stop import Brake, unstoppable
from pipelines.spec import Storage, refuse

if TYPE_CHECKING:
    from pipelines.run.start import Pools
    from pipelines.run.trunk import Run
    from pipelines.spec import EncodePool, TokenizePool

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "TOKENIZERS_PARALLELISM": "false",
}
"""What is set in the environment, where it does not say otherwise, before Ray starts."""

STOPPED: dict[int, tuple[str, int]] = {signal.SIGINT: ("interrupted", 130), signal.SIGTERM: ("terminated", 143)}
"""The last word and the exit code of a run that a signal has stopped."""

PATIENCE_SECONDS = 10
PLAN = "plan"


@dataclass(frozen=True, kw_only=True)
class RayCluster:
    """Which Ray the job runs on."""

    address: str = ""
    """Address of a cluster, or "local"; "": the one that RAY_ADDRESS names or that runs here, else a new local one."""
    num_cpus: int = 0
    """Logical CPUs of a new local Ray; 0: one a core."""
    dashboard: bool = False
    """Start the dashboard with a new local Ray."""

    def __post_init__(self) -> None:
        if self.num_cpus < 0:
            refuse(self, "num_cpus", "write a number of at least 1, or 0 for one a core")
        if self.num_cpus and self.address not in ("", "local"):
            refuse(self, "num_cpus", f"the Ray at {self.address} has its CPUs already: leave one of the two out")

    @property
    def is_named(self) -> bool:
        """Whether somebody named a cluster: a new Ray is not started where this is asked."""
        return (self.address or os.environ.get("RAY_ADDRESS", "local")) != "local"


def main(job: Callable[..., int], argv: Sequence[str] | None = None) -> None:
    """Run a job from the command line and end the process with its exit code."""
    be_quiet()
    sys.exit(run(job, argv))


def be_quiet() -> None:
    """Set in the environment what keeps Ray quiet."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def run(job: Callable[..., int], argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn whatever happens into an exit code: a MantaError is one line, a signal 130 or 143.

    A Ray that the job started ends with it; one that was there before stays.
    """
    was_there, code = ray_is_up(), 1
    with Brake() as brake:
        try:
            code = _outcome(job, argv, brake)
            return code
        finally:
            tell_end(job.__name__, code)
            if not was_there:
                stop_ray()


def _outcome(job: Callable[..., int], argv: Sequence[str] | None, brake: Brake) -> int:
    """The exit code of a job; what is no error of ours is raised."""
    try:
        arguments = parse(job, argv)
        if arguments.pop(PLAN, False):
            return plan(job, arguments)
        code = job(**arguments)
        if (cluster := arguments.get("ray")) and cluster.is_named:
            join_to_tell(code, partial(start_ray, cluster))
        return code
    except KeyboardInterrupt as stop:
        word, code = STOPPED[brake.asked]
        return say(f"{word}: {str(stop) or 'what is done stays done; run the same command again to go on'}", code)
    except Exception as error:
        ours = cause(error)
        if ours is None:
            raise
        return say(f"{type(ours).__name__}: {ours}", ours.exit_code)


def plan(job: Callable[..., int], arguments: dict[str, Any]) -> int:
    """Show what a job would do, how long it takes and what it costs, without Ray and with nothing written."""
    from pipelines.run.prospects.prospect import look_ahead

    return show(look_ahead(job.__name__, arguments))


def say(line: str, code: int) -> int:
    """Print the last word on stderr; give back the exit code."""
    print(line, file=sys.stderr, flush=True)
    return code


def parse(job: Callable[..., int], argv: Sequence[str] | None = None) -> dict[str, Any]:
    """The job's arguments from flags and ``--config file.yaml``, its dataclasses made and checked."""
    parser = parser_of(job)
    config = parser.parse_args(argv)
    arguments = parser.instantiate(config).as_dict()
    if isinstance(storage := arguments.get("storage"), Storage):
        arguments["storage"] = storage.settled(os.environ)
    taken = {*inspect.signature(job).parameters, *([PLAN] if arguments.get(PLAN) else [])}
    return {name: value for name, value in arguments.items() if name in taken}


def parser_of(job: Callable[..., int]) -> jsonargparse.ArgumentParser:
    """A flag for each argument of the job and each field of its dataclasses; plain switches take no value."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = OneLineParser(
        prog=f"python -m jobs.{job.__name__}",
        allow_abbrev=False,
        usage="%(prog)s [--config FILE] [--flag VALUE ...]",
        description=(inspect.getdoc(job) or "").split("\n\n")[0],
    )
    parser.add_argument("--config", action=ConfigFile, help="YAML file of flags; flags on the command line win")
    switches = [p.name for p in inspect.signature(job).parameters.values() if p.default is False]
    alone = next(iter(inspect.signature(job).parameters), "") == "output"  # it needs no more, and no flag for that
    parser.add_function_arguments(job, as_group=False, as_positional=alone, skip=set(switches))
    told = {argument.arg_name: argument.description for argument in docstring_parser.parse(job.__doc__ or "").params}
    told[PLAN] = "Show what would be done, how long it takes and what it costs, and do nothing."
    for name in [*switches, *([PLAN] if "rates" in inspect.signature(job).parameters else [])]:
        parser.add_argument(f"--{name}", action="store_true", help=told.get(name))
    return parser


def start_ray(cluster: RayCluster = RayCluster()) -> None:
    """Join the cluster, or start a local one, with nothing on the terminal and no usage statistics."""
    be_quiet()
    import ray

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # its errors are raised as well
    if ray.is_initialized():
        return
    address = cluster.address or os.environ.get("RAY_ADDRESS", "")
    _refuse_client(address)
    _refuse_silence(ray._private.services.find_bootstrap_address(None) or "" if address in ("", "auto") else address)
    # There is no public switch: what the raylet says of tasks that it retries would go to stdout, by a thread.
    ray._private.worker._worker_logs_enabled = False
    try:
        _join(_ray_arguments(cluster))
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        if isinstance(error, RuntimeError) and address in ("", "local"):
            raise  # it is this machine on which a new one does not come up
        which = f"at {address}" if address else "of this machine"
        why = " ".join(str(error).split()).split(". ")[0]
        raise SpecError(
            f"the Ray {which} can't be joined ({why}): check --ray.address or RAY_ADDRESS (HOST:PORT of its head), its "
            "token, and that --ray.num_cpus, which is for a new Ray, is not given"
        ) from error


def _refuse_client(address: str) -> None:
    """SpecError where the driver would be outside of the cluster: Ray Data does not work there."""
    if address.startswith("ray://"):
        raise SpecError(
            f"the Ray at {address} can't be driven from outside by ray://: submit the job to it (ray job submit "
            "--address http://HOST:8265 --working-dir . -- python -m jobs....), or run it on one of its nodes"
        )


def start(run: Run, cluster: RayCluster, cpu: TokenizePool, gpu: EncodePool | None = None) -> Pools:
    """Start Ray for a run that has something to do, and place its actors: ``gpu`` None: none that encode.

    SpecError where they can't be placed.
    """
    from pipelines.run.start import pools_for

    run.starting()
    start_ray(cluster)
    return pools_for(run, cpu, gpu)


def _refuse_silence(address: str) -> None:
    """SpecError where nobody listens at host:port. Ray itself would wait there for minutes without a word.

    What the last `ray start` on this machine has left behind is looked for too, where a Ray was lost and not stopped.
    """
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_SECONDS).close()
    except OSError as error:
        raise SpecError(
            f"no Ray answers at {address} ({error}): name another by --ray.address or RAY_ADDRESS; local is a new one"
        ) from error


@unstoppable
def _join(arguments: dict[str, Any]) -> None:
    import ray

    ours = signal.getsignal(signal.SIGTERM)
    try:
        with _silent_stderr():
            ray.init(**arguments)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)  # ray.init puts its own in place


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep what Ray's C++ core prints while it starts (that its log level was set) off the terminal."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _ray_arguments(cluster: RayCluster) -> dict[str, Any]:
    arguments: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if cluster.address:
        arguments["address"] = cluster.address
    if cluster.num_cpus:
        arguments["num_cpus"] = cluster.num_cpus
    if cluster.address in ("", "local"):
        arguments["include_dashboard"] = cluster.dashboard
    return arguments


def ray_is_up() -> bool:
    """Whether this process has joined a Ray."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


@unstoppable
def stop_ray() -> None:
    """Leave the cluster; a local one ends with it."""
    if ray_is_up():
        sys.modules["ray"].shutdown()


class Showable(Protocol):
    """A report of whichever run. (jsonargparse imports what annotations here name: a training's would bring torch.)"""

    @property
    def exit_code(self) -> int: ...
    def render(self) -> Any: ...


def show(report: Showable) -> int:
    """Print the report on stdout; give back its exit code."""
    from rich.console import Console

    Console().print(report.render())
    return report.exit_code


def print_json(value: object) -> None:
    """One JSON value on stdout."""
    print(json.dumps(value), flush=True)
