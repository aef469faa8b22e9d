"""Whether all nodes see the same local folders. On a cluster a local path is good only if each node shows that it is.

A file is named by what only the same file has: a probe just written by its content, a file that was there by its size
and time of change. Nodes that the autoscaler has yet to add are asked when they are there.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipelines.errors import SpecError, StoreError

log = logging.getLogger(__name__)

REMEDY = "put it where every node sees it, such as s3:// or a shared file system"


def require_shared(*, output: str = "", inputs: Sequence[str] = (), timeout_seconds: float = 60.0) -> None:
    """Refuse local paths that are not the same on every node: SpecError names the path and the node.

    ``output`` is a local folder to be, "" where it is not local; ``inputs`` are local files, folders or globs that are
    there (documents, model). Nothing is done on a cluster of one node, where the driver is then too, which needs to
    see the paths as well. A node that does not answer in time is a StoreError.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) == 1 or not (output or inputs):
        return
    witnesses = {path: witness(path) for path in inputs}
    with probe(output) as written:
        wanted = look([*witnesses.values(), *written])
        answers = _ask(nodes, list(wanted), timeout_seconds)
    owners = {file: path for path, file in witnesses.items()} | dict.fromkeys(written, output)
    blind = blind_nodes(wanted, answers)
    if blind:
        file, names = next(iter(blind.items()))
        raise SpecError(
            f"the local path {owners[file]} is not the same on every node: {', '.join(names)} "
            f"{'does' if len(names) == 1 else 'do'} not see what this process sees there; {REMEDY}"
        )


class Newcomers:
    """The nodes that come while a run is under way: each is asked what it sees of local files, once it is there."""

    def __init__(self, inputs: Sequence[str], interval_seconds: float = 10.0) -> None:
        self._inputs = inputs
        self._interval_seconds = interval_seconds
        self._known: set[str] = set()
        self._next = time.monotonic()

    def ask(self, *, now: bool = False) -> None:
        """Ask, where there are others than before, and not again within the interval; SpecError as above.

        A node that does not answer may be lost again: it is asked later, and ``now``, at the end, it is a StoreError.
        """
        if not self._inputs or not ray.is_initialized() or (time.monotonic() < self._next and not now):
            return
        there = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        try:
            if not there <= self._known:
                require_shared(inputs=self._inputs)
            self._known |= there
        except StoreError as error:
            if now:
                raise
            log.info("%s: it is asked later", error)
        self._next = time.monotonic() + self._interval_seconds


def blind_nodes(wanted: Mapping[str, str], answers: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """Per file that some node sees otherwise, or not at all: the names of those nodes, in order."""
    seen = {
        file: [name for name in sorted(answers) if answers[name].get(file, "") != mark] for file, mark in wanted.items()
    }
    return {file: names for file, names in seen.items() if names}


def look(files: Sequence[str]) -> dict[str, str]:
    """What this process sees of each file: a mark that differs from that of any other file; "" where there is none."""
    return {file: _mark(Path(file)) for file in files}


def _mark(file: Path) -> str:
    try:
        facts = file.stat()
        content = file.read_bytes() if facts.st_size <= 4096 else b""
    except OSError:
        return ""  # not there, or not for us to read: either way not seen
    return f"{facts.st_size} {facts.st_mtime_ns} {hashlib.sha256(content).hexdigest()}"


def witness(path: str) -> str:
    """A file that stands for a path: itself, the first of a folder, or the first that a glob matches."""
    matches = [path] if os.path.exists(path) else sorted(glob.glob(path, recursive=True))
    for match in matches:
        if os.path.isfile(match):
            return match
        for folder, folders, files in os.walk(match):
            folders.sort()
            if files:
                return os.path.join(folder, min(files))
    raise SpecError(f"there is no file at the local path {path}, as seen from the driver: {REMEDY}")


@contextmanager
def probe(output: str) -> Iterator[list[str]]:
    """A file of random content under the folder while the block runs; what was made for it goes with it."""
    if not output:
        yield []
        return
    folder = Path(output) / "_manta" / "tmp"
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    file = folder / f"probe-{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(secrets.token_hex(32))
    except OSError as error:
        raise SpecError(f"the output {output} cannot be written ({error.strerror}): name another folder") from error
    try:
        yield [str(file)]
    finally:
        file.unlink(missing_ok=True)
        for path in made:
            if not any(path.iterdir()):
                path.rmdir()


def _ask(nodes: Sequence[Mapping[str, Any]], files: list[str], timeout_seconds: float) -> dict[str, dict[str, str]]:
    """What each node sees, by a task that takes none of its CPUs."""
    task = ray.remote(look)
    asked = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
        name = f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})"
        asked[name] = task.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(files)
    answers = {}
    for name, answer in asked.items():
        try:
            answers[name] = ray.get(answer, timeout=timeout_seconds)
        except (GetTimeoutError, RayError) as error:
            kind = type(error).__name__
            raise StoreError(f"node {name} did not say what it sees ({kind}): check the node, and run again") from error
    return answers
