"""What there is before a run: the corpus, the output's parts, and so what is left to do. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.errors import ShardError
from pipelines.run.books import Books
from pipelines.run.ground import Ground
from pipelines.run.ledger import Ledger, LivePart, reconcile
from pipelines.run.plan import Plan, make_plan
from pipelines.stages.documents import check_shard
from pipelines.store.manifest import read_manifest
from pipelines.store.parts import PartEntry, list_parts, read_counts, read_shard_name
from pipelines.store.shards import read_footers

FOOTER_THREADS = 64


class Inventory:
    """The manifest, the listing of the parts and the footers of new shards, set against each other.

    StoreError where they contradict each other.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.output = ground.output
        self.manifest = read_manifest(self.output)
        known = self.manifest.shards()
        self.books = Books(ground.shards, known)
        self.ledger = self._reconcile({shard_id: shard.name for shard_id, shard in known.items()})
        self._adopt()
        self._read_footers()
        self.plan = self._plan()

    def _reconcile(self, known: Mapping[str, str]) -> Ledger:
        """What lies beyond the days that the order asks for stays as it is, whatever became of it."""
        looked_at = self.ground.order.period.holds
        live = {
            row["part"]: LivePart(
                shard_id=row["shard_id"], version=row["part_version"], num_dead_letters=row["num_dead_letters"]
            )
            for row in self.manifest.live_parts().to_pylist()
            if looked_at(row["shard"])
        }
        self.live = live
        drop = self.ground.order.removed == "drop"
        listing = list(list_parts(self.output))
        strangers = self._strangers(known, listing)
        names = {**known, **strangers}
        self.beyond = beyond = {shard_id for shard_id, name in names.items() if not looked_at(name)}
        """Shards of other days, which stay."""
        ledger = reconcile(
            self.ground.shards,
            {shard_id: name for shard_id, name in names.items() if shard_id not in beyond},
            live,
            (part for part in listing if part.shard_id not in beyond),
            drop=drop,
        )
        for shard_id in strangers.keys() & set(ledger.vanished if not drop else ()):
            self.books.remember(shard_id, strangers[shard_id])
        return ledger

    def _strangers(self, known: Mapping[str, str], listing: list[PartEntry]) -> dict[str, str]:
        """Names of shards that have parts, but are neither today's nor in the manifest: one footer tells each."""
        first = {part.shard_id: part for part in reversed(listing)}
        return {
            shard_id: read_shard_name(self.output, first[shard_id])
            for shard_id in first.keys() - known.keys() - self.books.shards.keys()
        }

    def _adopt(self) -> None:
        counts = read_counts(self.output, self.ledger.adopt, FOOTER_THREADS)
        for part in self.ledger.adopt:
            self.books.adopt(part, counts[part.key])
            dead = counts[part.key][2]
            self.live[part.key] = LivePart(shard_id=part.shard_id, version=part.version, num_dead_letters=dead)

    def _read_footers(self) -> None:
        """Of the shards that are new; on request also of those set aside before."""
        again = self.ground.order.retry_dead_letters
        unread = [
            shard
            for shard in self.ground.shards
            if (known := self.books.shards[shard.shard_id]).num_rows is None or (again and known.set_aside)
            if again or not known.set_aside
        ]
        for shard_id, footer in read_footers(unread, self.ground.order.storage, FOOTER_THREADS).items():
            try:
                if isinstance(footer, ShardError):
                    raise footer
                self.books.know_rows(shard_id, footer.num_rows)
                check_shard(footer.schema, self.ground.columns)
            except ShardError as error:
                self.books.set_aside(shard_id, str(error))

    def _plan(self) -> Plan:
        shards = self.books.shards
        again = self.ground.order.retry_dead_letters
        return make_plan(
            self.ground.shards,
            {shard_id: shard.num_rows for shard_id, shard in shards.items() if shard.num_rows is not None},
            self.ledger.current,
            {shard_id: shard.set_aside for shard_id, shard in shards.items() if shard.set_aside},
            slicing=self.ground.slicing,
            limit=self.ground.order.limit,
            again=[part for part in self.ledger.current if again and self._may_be_made_again(part)],
        )

    def _may_be_made_again(self, part: PartEntry) -> bool:
        """Whether a part has dead letters. One of which rows were forgotten would bring them back."""
        return not part.edition and bool(self.live[part.key].num_dead_letters)
