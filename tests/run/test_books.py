"""Receipts in, the next manifest out."""

from __future__ import annotations

from dataclasses import replace

from pipelines.run.books import Books
from pipelines.run.ledger import Ledger
from pipelines.schema import DeadLetter, SliceHeader
from pipelines.store.manifest import KnownShard, Manifest
from pipelines.store.parts import PartEntry, part_key
from pipelines.store.shards import Shard

A = Shard("a", "/c/a", 10, "1")
B = Shard("b", "/c/b", 20, "1")
NOTHING = Ledger(current=(), adopt=(), gone=(), litter=(), changed=(), vanished=())


def header(shard: Shard, first_row: int, num_documents: int = 5, **more: object) -> SliceHeader:
    facts = {"shard": shard.name, "shard_id": shard.shard_id, "first_row": first_row, "num_documents": num_documents}
    return SliceHeader(**facts | more)  # type: ignore[arg-type]


def receipt(shard: Shard, first_row: int, version: str = "v1", num_rows: int = 5) -> dict[str, object]:
    part = part_key(shard.shard_id, first_row, 5)
    return {"part": part, "num_rows": num_rows, "part_bytes": 99, "part_version": version}


def test_receipts_become_rows_of_the_manifest() -> None:
    books = Books([A, B], {})
    assert books.num_new == 2
    books.know_rows(A.shard_id, 10)
    books.receive(header(A, 0), receipt(A, 0))
    letters = (DeadLetter(row=7, stage="read", reason="r"), DeadLetter(row=8, stage="read", reason="r"))
    books.receive(header(A, 5, dead_letters=letters), receipt(A, 5, num_rows=3))
    assert books.num_added == 2
    manifest = books.settle(Manifest(), NOTHING, [], "run-1")
    assert books.num_done(manifest) == 1  # of B not even the number of rows is known
    rows = {row["part"]: row for row in manifest.live_parts().to_pylist()}
    assert rows[part_key(A.shard_id, 5, 5)] == {
        "shard": "a", "shard_id": A.shard_id, "shard_bytes": 10, "shard_version": "1", "shard_rows": 10,
        "set_aside": None, "part": part_key(A.shard_id, 5, 5), "first_row": 5, "num_documents": 5, "num_rows": 3,
        "num_dead_letters": 2, "part_bytes": 99, "part_version": "v1", "added_run": "run-1", "removed_run": None,
    }  # fmt: skip
    assert manifest.shards()[B.shard_id].num_rows is None  # remembered, though it has no part


def test_a_receipt_that_comes_twice_counts_once_the_later_one() -> None:
    books = Books([A], {})
    books.receive(header(A, 0), receipt(A, 0, "v1"))
    books.receive(header(A, 5), receipt(A, 5))
    books.receive(header(A, 0), receipt(A, 0, "v2"))
    assert books.num_came_back == 10
    parts = books.settle(Manifest(), NOTHING, [], "run").live_parts().to_pylist()
    assert sorted((row["first_row"], row["part_version"]) for row in parts) == [(0, "v2"), (5, "v1")]


def test_a_shard_that_broke_is_set_aside_with_the_rows_that_are_missing() -> None:
    books = Books([A], {})
    books.know_rows(A.shard_id, 10)
    books.receive(header(A, 0), receipt(A, 0))
    books.receive(header(A, 5, error="it ends here"), receipt(A, 5))
    assert books.new_set_aside == {A.shard_id: "rows 5 to 9 are missing: it ends here"}
    shard = books.settle(Manifest(), NOTHING, [], "run").shards()[A.shard_id]
    assert (shard.num_rows, shard.set_aside) == (10, "rows 5 to 9 are missing: it ends here")
    assert books.num_came_back == 10
    assert books.num_added == 1


def test_a_part_of_a_run_that_was_killed_is_adopted() -> None:
    books = Books([A], {})
    books.adopt(PartEntry(A.shard_id, 5, 5, 77, "v9"), (5, 4, 1))
    (row,) = books.settle(Manifest(), NOTHING, [], "run").live_parts().to_pylist()
    assert (row["first_row"], row["num_rows"], row["num_dead_letters"], row["part_bytes"]) == (5, 4, 1, 77)
    assert books.dead_letters == {row["part"]: 1}


def test_what_left_is_told_by_run_and_what_is_known_stays_known() -> None:
    first = Books([A, B], {})
    first.know_rows(A.shard_id, 5)
    first.know_rows(B.shard_id, 5)
    first.receive(header(A, 0), receipt(A, 0))
    first.receive(header(B, 0), receipt(B, 0))
    before = first.settle(Manifest(), NOTHING, [], "run-1")
    changed = Shard("a", "/c/a", 11, "2")
    books = Books([changed, B], before.shards())
    assert books.num_new == 1
    assert books.shards[B.shard_id] == KnownShard(name="b", shard_id=B.shard_id, size=20, version="1", num_rows=5)
    books.receive(header(changed, 0), receipt(changed, 0))
    ledger = replace(NOTHING, gone=(part_key(A.shard_id, 0, 5),), changed=(A.shard_id,))
    after = books.settle(before, ledger, [A.shard_id], "run-2")
    came, went = after.changes("run-2")
    assert came["part"].to_pylist() == [part_key(changed.shard_id, 0, 5)]
    assert went["part"].to_pylist() == [part_key(A.shard_id, 0, 5)]
    assert after.shards().keys() == {changed.shard_id, B.shard_id}


def test_a_shard_that_is_read_again_is_no_longer_set_aside() -> None:
    books = Books([A], {A.shard_id: KnownShard(name="a", shard_id=A.shard_id, size=10, version="1", set_aside="x")})
    books.know_rows(A.shard_id, 3)
    assert books.shards[A.shard_id].set_aside is None
    assert (books.num_new, books.new_set_aside) == (0, {})
