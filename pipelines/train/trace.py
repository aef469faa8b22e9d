"""Which instances each step was made of, for whoever wants to check that each was seen once.

``_manta/trace/<attempt>/<first step>-<rank>.jsonl`` has a line a step: {"step", "parts": {part: [[epoch, row], ...]}},
written before the step is done. An attempt begins whenever workers start. Of a step that several attempts hold, the
last one's lines count: each begins where a checkpoint is, and does again what came after it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing

from pipelines.store.location import Location
from pipelines.train.assignment import Assignment
from pipelines.train.feed import Feed
from pipelines.train.instance_source import InstanceSource
from pipelines.train.source import Share

FOLDER = "_manta/trace"
STEPS_A_FILE = 100
Seen = tuple[int, str, int]
"""Epoch, part and row of an instance."""


class Trace:
    """One worker's record. The file of the steps under way is written whole with each of them."""

    def __init__(self, output: Location, attempt: str, rank: int) -> None:
        self._output, self._attempt, self._rank = output, attempt, rank
        self._lines: list[str] = []
        self._key = ""

    @classmethod
    def of(cls, assignment: Assignment, rank: int, attempt: int) -> Trace | None:
        """That of an assignment's worker; None where none is asked for."""
        attempted = f"{assignment.run}-{attempt:03d}"
        return cls(assignment.output, attempted, rank) if assignment.pool.trace else None

    def note(self, step: int, instances: Iterable[Seen]) -> None:
        """The step is about to be made of these."""
        if len(self._lines) == STEPS_A_FILE or not self._key:
            self._lines, self._key = [], f"{FOLDER}/{self._attempt}/{step:09d}-{self._rank}.jsonl"
        parts: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for epoch, part, row in instances:
            parts[part].append((epoch, row))
        self._lines.append(json.dumps({"step": step, "parts": parts}))
        self._output.put(self._key, ("\n".join(self._lines) + "\n").encode())


def read_trace(output: Location) -> dict[int, list[Seen]]:
    """What each step was made of, on all workers together, in order."""
    by_attempt: dict[str, dict[int, list[Seen]]] = defaultdict(lambda: defaultdict(list))
    for entry in output.list(f"{FOLDER}/"):
        attempt = entry.key.split("/")[-2]
        for line in output.read(entry.key).decode().splitlines():
            told = json.loads(line)
            seen = [(epoch, part, row) for part, rows in told["parts"].items() for epoch, row in rows]
            by_attempt[attempt][told["step"]] += seen
    found: dict[int, list[Seen]] = {}
    for attempt in sorted(by_attempt):
        found |= {step: sorted(seen) for step, seen in by_attempt[attempt].items()}
    return dict(sorted(found.items()))


class TracedSource:
    """A source whose shares are noted as the loop takes them (``pipelines.train.source.Source``)."""

    def __init__(self, source: InstanceSource, feed: Feed, trace: Trace) -> None:
        self._source, self._feed, self._trace = source, feed, trace
        self.held_out, self.names = source.held_out, source.names

    @property
    def losses(self) -> Sequence[str]:
        """See ``Source``."""
        return self._source.losses

    def steps(self, position: int, count: int, rank: int, world: int) -> Generator[Share, None, None]:
        """See ``Source``."""
        with closing(self._source.steps(position, count, rank, world)) as shares:
            for share in shares:
                self._trace.note(position // count, self._feed.seen(position, count, rank, world))
                yield share
                position += count
