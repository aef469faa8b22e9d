"""What the output already holds, set against what the corpus is now: pure arithmetic over two listings and a manifest.

The listing of the parts is the truth: a part is there whole or not at all. The manifest is the list of those that a
run has committed. Where they differ, a run was killed before its commit (parts to adopt), or something else removed a
part (to be made again).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.store.parts import PartEntry
from pipelines.store.shards import Shard


@dataclass(frozen=True, kw_only=True)
class LivePart:
    """A part as the manifest has it."""

    shard_id: str
    version: str
    num_dead_letters: int


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """How listing, manifest and corpus differ. Parts by key, shards by shard_id."""

    current: tuple[PartEntry, ...]
    """Parts that are there and belong to today's shards."""
    adopt: tuple[PartEntry, ...]
    """Of these, and of kept shards', the ones that the manifest does not have in this version."""
    gone: tuple[str, ...]
    """Live parts of the manifest that leave with the commit: lost, or of a shard that changed or was dropped."""
    litter: tuple[str, ...]
    """Parts in the listing to be deleted after the commit."""
    changed: tuple[str, ...]
    """Shards whose name is still there, in another version."""
    vanished: tuple[str, ...]
    """Shards whose name is no longer there."""


def reconcile(
    shards: Sequence[Shard],
    known: Mapping[str, str],
    live: Mapping[str, LivePart],
    listing: Iterable[PartEntry],
    *,
    drop: bool,
) -> Ledger:
    """Compare. With ``drop`` vanished shards leave.

    ``known`` is the name by shard_id of the manifest's shards, and of others that have parts in the listing.
    """
    ids = {shard.shard_id for shard in shards}
    names = {shard.name for shard in shards}
    changed = {shard_id for shard_id, name in known.items() if shard_id not in ids and name in names}
    vanished = known.keys() - ids - changed
    kept = vanished if not drop else frozenset[str]()
    listed = {part.key: part for part in listing}
    valid = editions(listed.values(), live)
    staying = [p for p in listed.values() if p is valid[p.slice_key] and p.shard_id in ids | kept]
    return Ledger(
        current=tuple(part for part in staying if part.shard_id in ids),
        adopt=tuple(part for part in staying if part.key not in live or live[part.key].version != part.version),
        gone=tuple(key for key, part in live.items() if key not in listed or part.shard_id not in ids | kept),
        litter=tuple(
            part.key for part in listed.values() if part.shard_id not in ids | kept or part is not valid[part.slice_key]
        ),
        changed=tuple(sorted(changed)),
        vanished=tuple(sorted(vanished)),
    )


def editions(listing: Iterable[PartEntry], live: Container[str]) -> dict[str, PartEntry]:
    """Of each slice the part that counts, by ``slice_key``: the one that the manifest names (``live``), or the latest.

    Where both are there, rows are being forgotten, or that was cut off: before its commit, or before its end.
    """
    found: dict[str, PartEntry] = {}
    for part in sorted(listing, key=lambda part: (part.key in live, part.edition)):
        found[part.slice_key] = part
    return found
