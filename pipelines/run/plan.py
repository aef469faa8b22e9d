"""What is left to do: the row ranges of today's shards that no part covers. Pure arithmetic over listings."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.errors import StoreError
from pipelines.spec import Slicing
from pipelines.stages.read import Stretch
from pipelines.store.parts import PartEntry
from pipelines.store.shards import Shard


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is to do, and what it found."""

    stretches: tuple[Stretch, ...]
    """Row ranges to read, shard by shard."""
    num_documents: int
    """Rows of the stretches."""
    num_slices: int = 0
    """Slices that they will be cut into, at least."""
    num_left_out: int = 0
    """Rows that the limit leaves for another run."""
    set_aside: dict[str, str] = field(default_factory=dict)
    """Reason by shard_id, of shards that were set aside in an earlier run and are passed over."""


def uncovered(num_rows: int, parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges (first, stop) of 0..num_rows that no part (first_row, num_documents) covers, whatever lies beyond."""
    gaps: list[tuple[int, int]] = []
    done = 0
    for first, count in sorted(parts):
        if first < done:
            raise StoreError(
                f"two parts hold row {first} of one shard (a part ends at row {done}, another begins at {first}): "
                "the output was changed by something else; remove one of them and run again"
            )
        if done < first and done < num_rows:
            gaps.append((done, min(first, num_rows)))
        done = first + count
    if done < num_rows:
        gaps.append((done, num_rows))
    return gaps


def make_plan(
    shards: Sequence[Shard],
    rows: Mapping[str, int],
    parts: Iterable[PartEntry],
    set_aside: Mapping[str, str],
    *,
    slicing: Slicing = Slicing(),
    limit: int = 0,
    again: Iterable[PartEntry] = (),
) -> Plan:
    """Plan the shards of which the rows are known.

    ``set_aside`` are shards to be passed over (shard_id -> reason); ``again`` are parts to be made anew; with a
    ``limit`` the corpus is taken to end after so many documents, so that the same trial again is nothing to do.
    """
    usable = [shard for shard in shards if shard.shard_id in rows and shard.shard_id not in set_aside]
    within = limited([(shard.shard_id, rows[shard.shard_id]) for shard in usable], limit)
    covered, anew = _ranges(parts), _ranges(again)
    stretches = tuple(
        Stretch(shard=shard, first_row=first, stop_row=first + count)
        for shard in usable
        for first, count in _todo(within[shard.shard_id], covered[shard.shard_id], anew[shard.shard_id])
    )
    return Plan(
        stretches=stretches,
        num_documents=sum(stretch.num_documents for stretch in stretches),
        num_slices=count_slices(stretches, rows, slicing),
        num_left_out=sum(
            _num_open(rows[shard_id], covered[shard_id]) - _num_open(num, covered[shard_id])
            for shard_id, num in within.items()
        ),
        set_aside={shard.shard_id: set_aside[shard.shard_id] for shard in shards if shard.shard_id in set_aside},
    )


def limited(rows: Iterable[tuple[str, int]], limit: int) -> dict[str, int]:
    """Rows by shard of which the first ``limit`` are kept, shard by shard; all of them where it is 0."""
    within: dict[str, int] = {}
    left = limit
    for shard_id, num in rows:
        within[shard_id] = min(num, left) if limit else num
        left -= within[shard_id]
    return within


def count_slices(stretches: Iterable[Stretch], rows: Mapping[str, int], slicing: Slicing) -> int:
    """How many slices the stretches will be cut into, at least: by rows, or by their share of the shard's bytes."""
    return sum(
        math.ceil(max(num / slicing.max_rows, shard.size * num / rows[shard.shard_id] / slicing.max_bytes))
        for shard, num in ((stretch.shard, stretch.num_documents) for stretch in stretches)
    )


def _ranges(parts: Iterable[PartEntry]) -> defaultdict[str, list[tuple[int, int]]]:
    """First row and number of documents of the parts, by shard."""
    ranges: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for part in parts:
        ranges[part.shard_id].append((part.first_row, part.num_documents))
    return ranges


def _num_open(num_rows: int, covered: list[tuple[int, int]]) -> int:
    return sum(stop - first for first, stop in uncovered(num_rows, covered))


def _todo(num_rows: int, covered: list[tuple[int, int]], anew: list[tuple[int, int]]) -> list[tuple[int, int]]:
    gaps = [(first, stop - first) for first, stop in uncovered(num_rows, covered)]
    return sorted(gaps + [part for part in anew if part[0] < num_rows])
