"""A request is checked on the machine that it is launched from, shown, submitted, and left or stopped by Ctrl-C."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from pipelines.errors import SpecError
from pipelines.fingerprint import fingerprint
from pipelines.run.display import size
from pipelines.run.launch.job_server import ADDRESSES, connect, submit
from pipelines.run.launch.launched import LaunchedRun
from pipelines.run.launch.parcel import Parcel, pack
from pipelines.run.launch.submission import Launching, Submission
from pipelines.run.order import order_of
from pipelines.run.prospects.prospect import from_here
from pipelines.run.stop import Brake, Terminated, exit_code_of
from pipelines.spec import Storage

PLACES = ("source", "documents", "output", "instances", "data", "queries", "qrels", "train_data", "eval_data",
          "examples")  # fmt: skip
"""Arguments of jobs that say where data are."""
MODELS = ("model", "architecture", "tokenizer")
SECOND_THOUGHT_SECONDS = 5.0
"""How long, after a Ctrl-C, a second one still stops the job."""


def check(job: str, order: type, arguments: Mapping[str, Any], flags: Sequence[str], where: Launching) -> Submission:
    """What is to be submitted for a request whose flags are parsed. SpecError where the cluster would refuse it.

    ``order`` is the class of the job's order, which checks what the arguments say beside the spec.
    """
    order_of(order, job, arguments)
    parcel = pack(where.working_dir)
    if not parcel.holds(f"jobs/{job}.py"):
        raise SpecError(f"{parcel.folder} holds no jobs/{job}.py that travels: name the checkout by --working_dir")
    _check_places(arguments, parcel)
    spec = arguments["spec"]
    return Submission(
        job=job, flags=tuple(flags), output=arguments["output"], where=where, parcel=parcel,
        fingerprint=fingerprint(spec, str(getattr(spec, "model", arguments.get("model", "")))),
        storage=arguments.get("storage", Storage()),
    )  # fmt: skip


def _check_places(arguments: Mapping[str, Any], parcel: Parcel) -> None:
    """Relative paths count from where Ray unpacks what travelled: nothing else is there, or stays there."""
    for name, place in _places(arguments):
        if is_relative(place):
            raise SpecError(
                f"{name} {place} is a path of this machine: write s3://..., or one from the root that every node sees"
            )
    if (code := arguments.get("user_code", "")) and is_relative(code) and not parcel.holds(code):
        raise SpecError(f"user_code {code} does not travel: put it into {parcel.folder}, and not into .rayignore")
    for name in MODELS:
        model = getattr(arguments["spec"], name, arguments.get(name, ""))
        if isinstance(model, str) and is_relative(model) and os.path.exists(model) and not parcel.holds(model):
            raise SpecError(
                f"{name} {model} is on this machine alone: put it where every node sees it, and name it from the root "
                "or as s3://..."
            )


def _places(arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in PLACES:
        value = arguments.get(name) or ()
        yield from ((name, place) for place in ([value] if isinstance(value, str) else value))


def is_relative(place: str) -> bool:
    """Whether this is a path that counts from a working folder."""
    return bool(place) and "://" not in place and not place.startswith(("/", "package:"))


def show(submission: Submission, arguments: Mapping[str, Any]) -> int:
    """Print what would be submitted, and what it would do by these arguments; exit code 0."""
    where, parcel, rooms = submission.where, submission.parcel, submission.parcel.by_room
    lines = [
        f"id          {next(submission.ids())}  (-r2, -r3 and so on where the cluster had it)",
        f"address     {where.address or 'as ' + ' or '.join(ADDRESSES) + ' says'}",
        f"entrypoint  {submission.entrypoint}",
        *(f"environment {name}, its value from here" for name in where.environment),
        *(f"environment {name}, which must be set there" for name in where.secrets),
        f"travels     {len(parcel.files):,} files, {size(parcel.num_bytes)}, of {parcel.folder}",
        *(f"            {size(num_bytes):>8}  {room} ({count:,})" for room, (count, num_bytes) in rooms.items()),
    ]
    Console(soft_wrap=True).print(*map(Text, lines), sep="\n")
    Console().print(from_here(submission.job, arguments))
    return 0


def send(submission: Submission) -> LaunchedRun:
    """Submit it, and say where it can be seen. SpecError where the cluster does not take it."""
    client = connect(submission.where.address)
    run = LaunchedRun(client, submit(client, submission), submission)
    print(f"launched {run.id}\n{run.dashboard}", file=sys.stderr, flush=True)
    return run


def attend(run: LaunchedRun) -> int:
    """Show the job's log to its end; its exit code. Ctrl-C leaves it alone, a second one stops it.

    130 where it was left, 143 where this process was asked to end; the job goes on then.
    """
    try:
        return run.wait()
    except Terminated as stop:
        _tell(f"left {run.id}: it goes on")
        return exit_code_of(stop)
    except KeyboardInterrupt as stop:
        return exit_code_of(stop) if not _second_thought(run) else _stopped(run)


def _second_thought(run: LaunchedRun) -> bool:
    """Whether a second Ctrl-C comes soon."""
    try:
        with Brake():
            _tell(
                f"left {run.id}: it goes on; Ctrl-C again within {SECOND_THOUGHT_SECONDS:.0f} s stops it, and later "
                f"ray job stop {run.id}"
            )
            threading.Event().wait(SECOND_THOUGHT_SECONDS)
    except KeyboardInterrupt:
        return True
    return False


def _stopped(run: LaunchedRun) -> int:
    run.stop()
    return run.wait()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
