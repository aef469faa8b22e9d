"""Listing, manifest and corpus set against each other: by hand case by case, and as properties of any three."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipelines.run.ledger import Ledger, LivePart, reconcile
from pipelines.store.parts import PartEntry
from pipelines.store.shards import Shard

A1 = Shard("a", "/c/a", 10, "1")
A2 = Shard("a", "/c/a", 10, "2")  # a, changed
B1 = Shard("b", "/c/b", 10, "1")


def part(shard: Shard, first: int = 0, version: str = "v") -> PartEntry:
    return PartEntry(shard.shard_id, first, 5, 100, version)


def live(*parts: PartEntry) -> dict[str, LivePart]:
    return {p.key: LivePart(shard_id=p.shard_id, version=p.version, num_dead_letters=0) for p in parts}


def known(*shards: Shard) -> dict[str, str]:
    return {shard.shard_id: shard.name for shard in shards}


EMPTY = Ledger(current=(), adopt=(), gone=(), litter=(), changed=(), vanished=())


def test_nothing_known_and_nothing_there() -> None:
    assert reconcile([A1], {}, {}, [], drop=False) == EMPTY


def test_what_is_committed_and_there_needs_nothing() -> None:
    ledger = reconcile([A1], known(A1), live(part(A1)), [part(A1)], drop=True)
    assert ledger == Ledger(current=(part(A1),), adopt=(), gone=(), litter=(), changed=(), vanished=())


def test_a_part_that_no_run_committed_is_adopted() -> None:
    ledger = reconcile([A1], known(A1), live(part(A1)), [part(A1), part(A1, 5)], drop=False)
    assert ledger.adopt == (part(A1, 5),)
    assert ledger.current == (part(A1), part(A1, 5))


def test_a_part_of_another_version_is_adopted_anew() -> None:
    ledger = reconcile([A1], known(A1), live(part(A1, version="old")), [part(A1, version="new")], drop=False)
    assert ledger.adopt == (part(A1, version="new"),)
    assert ledger.gone == ()


def test_a_part_that_was_removed_by_hand_is_gone() -> None:
    ledger = reconcile([A1], known(A1), live(part(A1), part(A1, 5)), [part(A1, 5)], drop=False)
    assert ledger.gone == (part(A1).key,)
    assert ledger.current == (part(A1, 5),)


def test_a_changed_shard_leaves_with_its_parts() -> None:
    for drop in (False, True):
        ledger = reconcile([A2], known(A1), live(part(A1)), [part(A1)], drop=drop)
        assert ledger.changed == (A1.shard_id,)
        assert ledger.gone == ledger.litter == (part(A1).key,)
        assert ledger.current == ledger.vanished == ()


def test_a_vanished_shard_stays_unless_it_is_dropped() -> None:
    kept = reconcile([B1], known(A1, B1), live(part(A1)), [part(A1)], drop=False)
    assert (kept.vanished, kept.gone, kept.litter) == ((A1.shard_id,), (), ())
    dropped = reconcile([B1], known(A1, B1), live(part(A1)), [part(A1)], drop=True)
    assert (dropped.vanished, dropped.gone, dropped.litter) == ((A1.shard_id,), (part(A1).key,), (part(A1).key,))


def test_a_vanished_shards_part_that_no_run_committed_is_adopted_or_dropped_with_it() -> None:
    kept = reconcile([B1], known(A1), live(part(A1)), [part(A1), part(A1, 5)], drop=False)
    assert (kept.adopt, kept.current, kept.litter) == ((part(A1, 5),), (), ())
    dropped = reconcile([B1], known(A1), live(part(A1)), [part(A1), part(A1, 5)], drop=True)
    assert (dropped.adopt, dropped.litter) == ((), (part(A1).key, part(A1, 5).key))


def test_a_shard_that_changed_back_is_itself_again() -> None:
    ledger = reconcile([A1], known(A2), live(part(A2)), [part(A2)], drop=False)
    assert (ledger.changed, ledger.litter) == ((A2.shard_id,), (part(A2).key,))


SHARDS = [Shard(name, f"/c/{name}", 10, version) for name in "abc" for version in "12"]
PARTS = [part(shard, first, version) for shard in SHARDS for first in (0, 5) for version in "vw"]


@given(
    st.lists(st.sampled_from(SHARDS), unique_by=lambda shard: shard.name),
    st.sets(st.sampled_from(SHARDS)),
    st.lists(st.sampled_from(PARTS), unique_by=lambda p: p.key),
    st.lists(st.sampled_from(PARTS), unique_by=lambda p: p.key),
    st.booleans(),
)
def test_every_part_has_one_fate(
    shards: list[Shard], remembered: set[Shard], committed: list[PartEntry], listing: list[PartEntry], drop: bool
) -> None:
    owners = {shard.shard_id: shard for shard in SHARDS}
    names = known(*remembered, *(owners[p.shard_id] for p in committed))
    ledger = reconcile(shards, names, live(*committed), listing, drop=drop)
    there, manifest = {p.key for p in listing}, {p.key for p in committed}
    kept = there - {p.key for p in ledger.current} - set(ledger.litter)
    # What is listed is today's, or deleted, or kept of a vanished shard, committed and not gone.
    assert {p.key for p in ledger.current}.isdisjoint(ledger.litter)
    assert kept <= manifest - set(ledger.gone) | {p.key for p in ledger.adopt}
    assert not (kept and drop)
    # What the manifest will have after this run is what will be there.
    assert (manifest - set(ledger.gone)) | {p.key for p in ledger.adopt} == there - set(ledger.litter)
    assert set(ledger.changed).isdisjoint(ledger.vanished)
    assert set(ledger.changed) | set(ledger.vanished) == names.keys() - {shard.shard_id for shard in shards}


def test_of_two_editions_the_one_counts_that_the_manifest_names() -> None:
    old, new = part(A1), replace(part(A1, version="w"), edition=1)
    assert new.key == f"parts/{A1.shard_id}/0-5.1.parquet"
    for committed, other in ((old, new), (new, old)):
        ledger = reconcile([A1], known(A1), live(committed), [old, new], drop=False)
        assert (ledger.current, ledger.adopt, ledger.gone, ledger.litter) == ((committed,), (), (), (other.key,))
    lost = reconcile([A1], {}, {}, [old, new], drop=False)  # the manifest: what was forgotten stays so
    assert (lost.current, lost.adopt, lost.litter) == ((new,), (new,), (old.key,))
