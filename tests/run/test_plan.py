"""What is left to do: row ranges that no part covers, by hand and as a partition of each shard's rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import StoreError
from pipelines.run.plan import Plan, count_slices, limited, make_plan, uncovered
from pipelines.spec import Slicing
from pipelines.stages.read import Stretch
from pipelines.store.parts import PartEntry
from pipelines.store.shards import Shard

A, B, C = (Shard(name, f"/c/{name}", 10, "1") for name in "abc")


def part(shard: Shard, first: int, count: int) -> PartEntry:
    return PartEntry(shard.shard_id, first, count, 100, "v")


def ranges(plan: Plan) -> list[tuple[str, int, int]]:
    return [(stretch.shard.name, stretch.first_row, stretch.stop_row) for stretch in plan.stretches]


@pytest.mark.parametrize(
    ("num_rows", "parts", "gaps"),
    [
        (0, [], []),
        (10, [], [(0, 10)]),
        (10, [(0, 10)], []),
        (10, [(0, 4)], [(4, 10)]),
        (10, [(4, 3)], [(0, 4), (7, 10)]),
        (10, [(7, 3), (0, 4)], [(4, 7)]),
        (4, [(0, 4), (4, 6)], []),  # parts beyond the rows that count
        (5, [(8, 2)], [(0, 5)]),
        (5, [(3, 4)], [(0, 3)]),
    ],
)
def test_uncovered(num_rows: int, parts: list[tuple[int, int]], gaps: list[tuple[int, int]]) -> None:
    assert uncovered(num_rows, parts) == gaps


def test_parts_that_overlap_are_refused() -> None:
    with pytest.raises(
        StoreError, match=r"two parts hold row 3 of one shard \(a part ends at row 4, another begins at 3\)"
    ):
        uncovered(10, [(0, 4), (3, 5)])


@given(st.lists(st.integers(1, 5), max_size=12), st.sets(st.integers(0, 11)), st.integers(0, 70))
def test_parts_and_gaps_cover_each_row_once(sizes: list[int], missing: set[int], num_rows: int) -> None:
    firsts = [sum(sizes[:n]) for n in range(len(sizes))]
    parts = [(first, size) for n, (first, size) in enumerate(zip(firsts, sizes, strict=True)) if n not in missing]
    gaps = uncovered(num_rows, parts)
    there = [row for first, size in parts for row in range(first, first + size) if row < num_rows]
    assert sorted(there + [row for first, stop in gaps for row in range(first, stop)]) == list(range(num_rows))
    assert all(first < stop for first, stop in gaps)


def test_a_new_corpus_is_all_to_do() -> None:
    plan = make_plan([A, B], {A.shard_id: 7, B.shard_id: 0}, [], {})
    assert ranges(plan) == [("a", 0, 7)]
    assert (plan.num_documents, plan.num_left_out) == (7, 0)


def test_parts_of_other_shards_cover_nothing() -> None:
    assert ranges(make_plan([A], {A.shard_id: 7}, [part(B, 0, 7), part(A, 0, 5)], {})) == [("a", 5, 7)]


def test_shards_set_aside_are_passed_over_and_unknown_ones_too() -> None:
    reasons = {B.shard_id: "truncated", "of another corpus": "x"}
    plan = make_plan([A, B, C], {A.shard_id: 3, B.shard_id: 5}, [], reasons)
    assert ranges(plan) == [("a", 0, 3)]
    assert plan.set_aside == {B.shard_id: "truncated"}


def test_a_limit_ends_the_corpus() -> None:
    rows = {A.shard_id: 4, B.shard_id: 4, C.shard_id: 4}
    plan = make_plan([A, B, C], rows, [], {}, limit=6)
    assert ranges(plan) == [("a", 0, 4), ("b", 0, 2)]
    assert (plan.num_documents, plan.num_left_out) == (6, 6)
    again = make_plan([A, B, C], rows, [part(A, 0, 4), part(B, 0, 2)], {}, limit=6)
    assert (again.stretches, again.num_left_out) == ((), 6)


def test_what_is_done_beyond_the_limit_is_not_left_out() -> None:
    plan = make_plan([A, B], {A.shard_id: 4, B.shard_id: 4}, [part(A, 0, 4), part(B, 0, 3)], {}, limit=5)
    assert (ranges(plan), plan.num_left_out) == ([], 1)


def test_parts_to_be_made_anew_are_stretches_of_their_own() -> None:
    parts = [part(A, 0, 3), part(A, 5, 2)]
    plan = make_plan([A], {A.shard_id: 9}, parts, {}, again=[part(A, 5, 2)])
    assert ranges(plan) == [("a", 3, 5), ("a", 5, 7), ("a", 7, 9)]


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(0, 40))
def test_limited_takes_the_first(counts: list[int], limit: int) -> None:
    rows = [(str(n), count) for n, count in enumerate(counts)]
    within = limited(rows, limit)
    assert list(within) == [name for name, _ in rows]
    assert sum(within.values()) == (min(limit, sum(counts)) if limit else sum(counts))
    cut = [n for n, count in rows if within[n] < count]
    assert all(within[n] == 0 for n in cut[1:])  # one shard is cut, the later ones are left


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.booleans()), max_size=5), max_size=3),
    st.integers(0, 20),
)
def test_a_plan_and_its_parts_cover_the_corpus_once(made: list[list[tuple[int, bool, bool]]], limit: int) -> None:
    shards = [A, B, C][: len(made)]
    rows, parts, again = {}, [], []
    for shard, cuts in zip(shards, made, strict=True):
        first = 0
        for size, is_there, is_bad in cuts:
            if is_there:
                parts.append(part(shard, first, size))
                again += [parts[-1]] if is_bad else []
            first += size
        rows[shard.shard_id] = first
    plan = make_plan(shards, rows, parts, {}, limit=limit, again=again)
    found = [(s.shard.shard_id, row) for s in plan.stretches for row in range(s.first_row, s.stop_row)]
    kept = [p for p in parts if p not in again]
    found += [(p.shard_id, row) for p in kept for row in range(p.first_row, p.first_row + p.num_documents)]
    everything = [(shard.shard_id, row) for shard in shards for row in range(rows[shard.shard_id])]
    assert len(found) == len(set(found))
    assert set(found) <= set(everything)
    assert set(found) >= set(everything[:limit] if limit else everything)
    assert plan.num_documents == sum(stretch.num_documents for stretch in plan.stretches)


@pytest.mark.parametrize(
    ("num", "max_rows", "max_bytes", "slices"),
    [(100, 30, 10**6, 4), (100, 1000, 300, 4), (50, 1000, 300, 2), (1, 1000, 10**6, 1), (0, 10, 10, 0)],
)
def test_slices_are_counted_by_rows_or_bytes(num: int, max_rows: int, max_bytes: int, slices: int) -> None:
    shard = Shard("a", "/a", 1000, "1")
    todo = [Stretch(shard=shard, first_row=0, stop_row=num)]
    slicing = Slicing(max_rows=max_rows, max_bytes=max_bytes)
    assert count_slices(todo, {shard.shard_id: 100}, slicing) == slices
    assert make_plan([shard], {shard.shard_id: num}, [], {}, slicing=slicing).num_slices >= slices
