"""What leaves an output on request: asked for on a terminal, done under the lease, told on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from pipelines.errors import SpecError, StoreError
from pipelines.run.display import size
from pipelines.run.order import new_run_id
from pipelines.run.upkeep.history import RUNS
from pipelines.store.forgetting import Forgotten, forget
from pipelines.store.lease import hold
from pipelines.store.location import Entry, Location
from pipelines.store.vacuum import find_litter, remove_litter

MOST_LINES = 20
"""Of a list that is shown; the rest are counted. With --yes all are shown, for the log of a script."""


def consent(question: str, yes: bool) -> bool:
    """Whether it may be done: as the flag says, or whoever sits at the terminal. SpecError where nobody does."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise SpecError(f"there is no terminal to ask: {question} Add --yes where that is what you want")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def clear_away(output: Location, *, yes: bool, min_age_hours: float) -> int:
    """Show what no manifest names, and remove it once that is allowed. LeaseError while a run is at work."""
    litter = find_litter(output, time.time(), min_age_hours)
    _show(litter.files, len(litter.files) if yes else MOST_LINES)
    if litter.num_young:
        _say(f"{litter.num_young:,} more are younger than {min_age_hours:g} hours, and stay")
    if litter.lease:
        _say(f"the lease of {litter.lease}: its process is dead, or at work on another host, which ends this with 4")
    if not litter.files and not litter.lease:
        _say(f"{output}: nothing to remove")
        return 0
    if not consent(f"Remove {_files(litter.files)} from {output}?", yes):
        _say("nothing was removed")
        return 0
    with hold(output, new_run_id(), _tell):  # which takes a dead one's place, and is given back
        removed = remove_litter(output, litter.files, time.time(), min_age_hours)
    _say(f"{_files(removed)} removed" + (", the lease given back" if litter.lease else ""))
    return 0


def forget_ids(output: Location, ids: str, *, yes: bool) -> int:
    """Remove the rows of the ids in a Parquet file once that is allowed. StoreError where some are there afterwards.

    Ids of which there is no row are told, and are no failure: what is asked for, and proved, is that no row has one of
    the ids. The proof stays among the output's runs, by its numbers, also where there was nothing to remove.
    """
    if not consent(f"Remove the rows of the ids in {ids} from {output} for good?", yes):
        _say("nothing was removed")
        return 0
    run, began = new_run_id(), time.time()
    with hold(output, run, _tell) as lease:
        done = forget(output, ids, lease, run)
        output.put(f"{RUNS}{run}.json", json.dumps(_proof(output, done, run, began), indent=2).encode())
    _report(done)
    if done.num_left:
        raise StoreError(
            f"{done.num_left} rows of {output} still have such ids: something else writes there; run again"
        )
    return 0


def _proof(output: Location, done: Forgotten, run: str, began: float) -> dict[str, Any]:
    """What is kept of it: numbers alone, for the ids themselves may be what is to be forgotten."""
    return {
        "run": run,
        "job": "forget",
        "output": output.uri,
        "exit_code": StoreError.exit_code if done.num_left else 0,
        "started": datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        "seconds": time.time() - began,
        "rows": -done.num_rows,
        "ids": done.num_ids,
        "ids_not_found": len(done.missing),
        "parts_read": done.num_parts_read,
        "rows_read": done.num_rows_read,
        "rows_left": done.num_left,
    }


def show(what: RenderableType) -> int:
    """Print it on stdout; 0, for it is all done."""
    Console().print(what)
    return 0


def _report(done: Forgotten) -> None:
    num_found = done.num_ids - len(done.missing)
    _say(f"forgotten: {done.num_rows:,} rows of {num_found:,} ids, in {done.num_parts:,} parts")
    _say(
        f"proved: {done.num_parts_read:,} parts of {done.num_rows_read:,} rows read again, {done.num_left:,} have them"
    )
    if len(done.missing):
        _say(f"{len(done.missing):,} ids were not found:")
        _lines([str(value) for value in done.missing[:MOST_LINES].to_pylist()], len(done.missing))


def _show(files: Sequence[Entry], most: int) -> None:
    _lines([f"{entry.key} ({size(entry.size)}, {_day(entry.modified)})" for entry in files[:most]], len(files))


def _lines(lines: Sequence[str], num_all: int) -> None:
    for line in lines:
        _say(f"  {line}")
    if num_all > len(lines):
        _say(f"  and {num_all - len(lines):,} more")


def _files(files: Sequence[Entry]) -> str:
    return f"{len(files):,} files of {size(sum(entry.size for entry in files))}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _say(line: str) -> None:
    Console(soft_wrap=True).print(Text(line))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
