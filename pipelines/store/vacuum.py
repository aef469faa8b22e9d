"""What nobody needs any more in an output: parts that its manifest does not name, what lies beside none, a dead lease.

A running writer may need what it wrote a moment ago: what is younger than a day stays, and so does everything while
another run holds the output's lease. What a run that was cut off has made is of use to the next one, which finds it and
commits it; after the vacuum that is done again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipelines.errors import SpecError
from pipelines.instances import HELD_OUT
from pipelines.store.copies import COPIES, DIGESTS, SUFFIX
from pipelines.store.lease import Claim, left_behind
from pipelines.store.location import Entry, Location
from pipelines.store.manifest import read_manifest
from pipelines.store.parts import DEAD, PARTS, part_of

MIN_AGE_HOURS = 24.0
"""Younger files stay: workers that a run has lost sight of may still write for it."""


@dataclass(frozen=True, kw_only=True)
class Litter:
    """What may go."""

    files: tuple[Entry, ...]
    """In order of their keys."""
    num_young: int
    """Files that nobody names either, and that stay for now."""
    lease: Claim | None
    """Not given back, by a process of this host that is dead, or of another that may be."""


def find_litter(output: Location, now: float, min_age_hours: float = MIN_AGE_HOURS) -> Litter:
    """What may go of an output, ``now`` in seconds since 1970.

    SpecError where no run has committed anything: then no part is named, and each may be of use.
    """
    if not min_age_hours >= 0:
        raise SpecError(f"min_age_hours is {min_age_hours}: write 0 or more")
    unnamed = sorted(_unnamed(output), key=lambda entry: entry.key)
    old = tuple(entry for entry in unnamed if entry.modified <= now - 3600 * min_age_hours)
    return Litter(files=old, num_young=len(unnamed) - len(old), lease=left_behind(output))


def remove_litter(output: Location, shown: Iterable[Entry], now: float, min_age_hours: float) -> list[Entry]:
    """Remove of the files that were shown those that may still go, for who holds the lease; give them back."""
    still = {(entry.key, entry.version) for entry in find_litter(output, now, min_age_hours).files}
    going = [entry for entry in shown if (entry.key, entry.version) in still]
    output.remove(entry.key for entry in going)
    output.sweep()
    return going


def _unnamed(output: Location) -> Iterator[Entry]:
    manifest = read_manifest(output)
    if manifest.version is None:
        raise SpecError(f"{output} holds no committed output, so it is unknown which parts are of use: run a job first")
    parts = set(manifest.live_parts()["part"].to_pylist())
    shards = manifest.shards().keys()
    for folder in (PARTS, DEAD, HELD_OUT):
        for entry in output.list(folder):
            part = Entry(f"{PARTS}{entry.key.removeprefix(folder)}", entry.size, entry.version)
            if part_of(part) and part.key not in parts:
                yield entry
    for folder in (DIGESTS, COPIES):
        for entry in output.list(folder):
            if entry.key.endswith(SUFFIX) and entry.key[len(folder) : -len(SUFFIX)] not in shards:
                yield entry
