"""The door of every job: flags, Ray, signals, exit codes."""

from __future__ import annotations

import inspect
import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import docstring_parser
import jsonargparse

from pipelines import errors
from pipelines.errors import Interrupted, MantaError, SpecError
from pipelines.spec import Storage

if TYPE_CHECKING:
    from pipelines.run.report import Report

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "TOKENIZERS_PARALLELISM": "false",
}
"""What is set in the environment, where it does not say otherwise, before Ray starts."""

RAISED = re.compile(r"^pipelines\.errors\.(\w+): (.+)$", re.MULTILINE)
"""The last line of a stack trace that ends in one of our errors."""


@dataclass(frozen=True, kw_only=True)
class RayCluster:
    """Which Ray the job runs on."""

    address: str = ""
    """Address of a cluster, or "local"; "": the one that RAY_ADDRESS names or that runs here, else a new local one."""
    num_cpus: int = 0
    """Logical CPUs of a new local Ray; 0: one a core."""
    dashboard: bool = False
    """Start the dashboard with a new local Ray."""


def main(job: Callable[..., int], argv: Sequence[str] | None = None) -> None:
    """Run a job from the command line and end the process with its exit code."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    sys.exit(run(job, argv))


def run(job: Callable[..., int], argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn whatever happens into an exit code: a MantaError is one line, a signal 130 or 143.

    A Ray that the job started ends with it; one that was there before stays.
    """
    was_there = ray_is_up()
    try:
        with stoppable():
            return job(**parse(job, argv))
    except KeyboardInterrupt:
        return say("interrupted: what is done stays done; run the same command again to go on", 130)
    except Exception as error:
        ours = cause(error)
        if ours is None:
            raise
        kind = "" if isinstance(ours, Interrupted) else f"{type(ours).__name__}: "  # its message says what it is
        return say(f"{kind}{ours}", ours.exit_code)
    finally:
        if not was_there:
            stop_ray()


def say(line: str, code: int) -> int:
    """Print the last word on stderr; give back the exit code."""
    print(line, file=sys.stderr, flush=True)
    return code


def cause(error: BaseException | None) -> MantaError | None:
    """The MantaError in an exception's chain. What an actor raised comes wrapped by Ray, mostly as text alone."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        wrapped = getattr(error, "cause", None)
        if isinstance(error, MantaError) and wrapped is None:
            return error
        if type(error).__module__.startswith("ray.") and (told := RAISED.findall(str(error))):
            kind, message = told[-1]
            return getattr(errors, kind)(message)
        seen.add(id(error))
        error = wrapped or error.__cause__ or error.__context__
    return None


def parse(job: Callable[..., int], argv: Sequence[str] | None = None) -> dict[str, Any]:
    """The job's arguments from flags and ``--config file.yaml``, its dataclasses made and checked."""
    parser = parser_of(job)
    config = parser.parse_args(argv)
    arguments = parser.instantiate(config).as_dict()
    if isinstance(storage := arguments.get("storage"), Storage):
        arguments["storage"] = storage.settled(os.environ)
    return {name: value for name, value in arguments.items() if name in inspect.signature(job).parameters}


class OneLineParser(jsonargparse.ArgumentParser):
    """A parser that refuses in one line, without the list of all its flags."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """End the process with exit code 2, or raise the SpecError that made a value impossible."""
        ours = cause(ex)
        if ours is not None:
            raise ours
        raise SpecError(f"{' '.join(message.split())}: see {self.prog} --help")


def parser_of(job: Callable[..., int]) -> jsonargparse.ArgumentParser:
    """A flag for each argument of the job and each field of its dataclasses; plain switches take no value."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    prog = f"python -m jobs.{job.__name__}"
    parser = OneLineParser(
        prog=prog,
        usage=f"{prog} [--config FILE] [--flag VALUE ...]",
        description=(inspect.getdoc(job) or "").split("\n\n")[0],
    )
    parser.add_argument("--config", action="config", help="YAML file of flags; flags on the command line win")
    switches = [p.name for p in inspect.signature(job).parameters.values() if p.default is False]
    parser.add_function_arguments(job, as_group=False, skip=set(switches))
    told = {argument.arg_name: argument.description for argument in docstring_parser.parse(job.__doc__ or "").params}
    for name in switches:
        parser.add_argument(f"--{name}", action="store_true", help=told.get(name))
    return parser


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM raises Interrupted in the main thread, as Ctrl-C raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    stop = Interrupted("terminated: what is done stays done; run the same command again to go on")
    stop.exit_code = 143
    raise stop


def start_ray(cluster: RayCluster = RayCluster()) -> None:
    """Join the cluster, or start a local one, with nothing on the terminal and no usage statistics."""
    import ray

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # its errors are raised as well
    if not ray.is_initialized():
        # There is no public switch: what the raylet says of tasks that it retries would go to stdout, by a thread.
        ray._private.worker._worker_logs_enabled = False
        try:
            with _silent_stderr():
                ray.init(**_ray_arguments(cluster))
        except ConnectionError as error:
            raise SpecError(f"no Ray cluster answers at {cluster.address!r} ({error}): check ray.address") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)  # ray.init has put its own in place


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


def stop_ray() -> None:
    """Leave the cluster; a local one ends with it."""
    if ray_is_up():
        sys.modules["ray"].shutdown()


def show(report: Report) -> int:
    """Print the report on stdout; give back its exit code."""
    from rich.console import Console

    Console().print(report.render())
    return report.exit_code


def print_json(value: object) -> None:
    """One JSON value on stdout."""
    print(json.dumps(value), flush=True)
