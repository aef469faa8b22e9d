"""The account of a run: receipts come in, and from them, at the end, the manifest that is to be committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pyarrow as pa

from pipelines.run.ledger import Ledger
from pipelines.schema import SliceHeader
from pipelines.store.manifest import PARTS, KnownShard, Manifest
from pipelines.store.parts import PartEntry
from pipelines.store.shards import Shard

Counts = tuple[int, int, int]
"""Documents, rows and dead letters of a part."""


class Books:
    """What is known of today's shards, and the parts that this run adds."""

    def __init__(self, shards: Iterable[Shard], known: Mapping[str, KnownShard]) -> None:
        self.shards = {
            shard.shard_id: known.get(shard.shard_id)
            or KnownShard(name=shard.name, shard_id=shard.shard_id, size=shard.size, version=shard.version)
            for shard in shards
        }
        self.num_new = len(self.shards.keys() - known.keys())
        """Shards that the manifest does not know."""
        self.new_set_aside: dict[str, str] = {}
        self._vanished: list[KnownShard] = []
        self._came_back: dict[tuple[str, int], int] = {}
        self._added: dict[str, list[object]] = {name: [] for name in PARTS.names}

    @property
    def num_added(self) -> int:
        """Parts added so far."""
        return len(self._added["part"])

    @property
    def num_came_back(self) -> int:
        """Documents of the slices that came back, done or broken; a slice that came back twice counts once."""
        return sum(self._came_back.values())

    @property
    def dead_letters(self) -> dict[str, int]:
        """Number of dead letters by part added so far."""
        return dict(zip(*(self._added[name] for name in ("part", "num_dead_letters")), strict=True))

    def know_rows(self, shard_id: str, num_rows: int) -> None:
        """A shard's footer was read, and nothing is held against it."""
        self.shards[shard_id] = replace(self.shards[shard_id], num_rows=num_rows, set_aside=None)

    def set_aside(self, shard_id: str, reason: str) -> None:
        """A shard, or the rest of it, cannot be used."""
        self.shards[shard_id] = replace(self.shards[shard_id], set_aside=reason)
        self.new_set_aside[shard_id] = reason

    def remember(self, shard_id: str, name: str) -> None:
        """A shard that vanished and has parts, though the manifest does not know it: it was lost, or not come to."""
        self._vanished.append(KnownShard(name=name, shard_id=shard_id, size=0, version=""))

    def adopt(self, part: PartEntry, counts: Counts) -> None:
        """A part that is there, of a run that did not come to its commit."""
        documents, rows, dead = counts
        self._add(part.shard_id, part.key, part.first_row, documents, rows, dead, part.size, part.version)

    def receive(self, header: SliceHeader, receipt: Mapping[str, object]) -> None:
        """A slice is done, or its shard broke there."""
        self._came_back[header.shard_id, header.first_row] = header.num_documents
        if header.error:
            last = header.first_row + header.num_documents - 1
            self.set_aside(header.shard_id, f"rows {header.first_row} to {last} are missing: {header.error}")
            return
        self._add(
            header.shard_id, receipt["part"], header.first_row, header.num_documents, receipt["num_rows"],
            len(header.dead_letters), receipt["part_bytes"], receipt["part_version"],
        )  # fmt: skip

    def _add(self, *values: object) -> None:
        for name, value in zip(PARTS.names, values, strict=True):
            self._added[name].append(value)

    def num_done(self, manifest: Manifest) -> int:
        """Shards of today's corpus of which every row is in a part of the manifest; those without a row are."""
        covered = {shard_id: 0 for shard_id, shard in self.shards.items() if not shard.set_aside}
        parts = manifest.live_parts().group_by("shard_id").aggregate([("num_documents", "sum")])
        for shard_id, num in zip(*(parts[name].to_pylist() for name in ("shard_id", "num_documents_sum")), strict=True):
            if shard_id in covered:
                covered[shard_id] = num
        return sum(num == self.shards[shard_id].num_rows for shard_id, num in covered.items())

    def settle(self, manifest: Manifest, ledger: Ledger, leaving: Iterable[str], run: str) -> Manifest:
        """The manifest as it is after this run; ``leaving`` are shards that go, with all their parts.

        A part that came back twice (its receipt was lost with a node) counts once.
        """
        added = pa.table(self._added, PARTS)
        last = {key: row for row, key in enumerate(self._added["part"])}
        added = added.take(pa.array(sorted(last.values()), pa.int64()))
        settled = manifest.remove_shards(leaving, run).remove_parts(ledger.gone, run)
        return settled.know([*self.shards.values(), *self._vanished], run).add(added, run)
