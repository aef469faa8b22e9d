"""What is left to do: the row ranges of today's shards that no part covers. Pure arithmetic over listings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.errors import StoreError
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
    num_left_out: int = 0
    """Rows that the limit leaves for another run."""
    set_aside: dict[str, str] = field(default_factory=dict)
    """Reason by shard_id, of shards that were set aside in an earlier run and are passed over."""


def uncovered(num_rows: int, parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges (first, stop) of 0..num_rows that no part (first_row, num_documents) covers."""
    gaps: list[tuple[int, int]] = []
    done = 0
    for first, count in sorted(parts):
        if first < done:
            raise StoreError(
                f"two parts hold row {first} of one shard (a part ends at row {done}, another begins at {first}): "
                "the output was changed by something else; remove one of them and run again"
            )
        if first > done:
            gaps.append((done, first))
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
    limit: int = 0,
    again: Iterable[PartEntry] = (),
) -> Plan:
    """Plan the shards of which the rows are known.

    ``set_aside`` are shards to be passed over (shard_id -> reason); ``again`` are parts to be made anew; ``limit`` is
    the most documents to plan, 0 for all.
    """
    covered: dict[str, list[tuple[int, int]]] = {}
    for part in parts:
        covered.setdefault(part.shard_id, []).append((part.first_row, part.num_documents))
    anew: dict[str, list[tuple[int, int]]] = {}
    for part in again:
        anew.setdefault(part.shard_id, []).append((part.first_row, part.first_row + part.num_documents))
    stretches = [
        Stretch(shard=shard, first_row=first, stop_row=stop)
        for shard in shards
        if shard.shard_id in rows and shard.shard_id not in set_aside
        for first, stop in sorted(
            uncovered(rows[shard.shard_id], covered.get(shard.shard_id, ())) + anew.get(shard.shard_id, [])
        )
    ]
    wanted = sum(stretch.num_documents for stretch in stretches)
    kept = tuple(limited(stretches, limit)) if limit else tuple(stretches)
    planned = sum(stretch.num_documents for stretch in kept)
    return Plan(
        stretches=kept,
        num_documents=planned,
        num_left_out=wanted - planned,
        set_aside={shard.shard_id: set_aside[shard.shard_id] for shard in shards if shard.shard_id in set_aside},
    )


def limited(stretches: Iterable[Stretch], limit: int) -> Iterable[Stretch]:
    """The first ``limit`` documents of the stretches."""
    for stretch in stretches:
        if limit <= 0:
            return
        stop = min(stretch.stop_row, stretch.first_row + limit)
        yield Stretch(shard=stretch.shard, first_row=stretch.first_row, stop_row=stop)
        limit -= stop - stretch.first_row
