"""Samples: all of a small corpus, runs from all over a large one, the same for the same seed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.run.prospects.sample import RUN, places, sample, sample_of
from pipelines.spec import Calibration
from pipelines.stages.read import Stretch
from pipelines.store.shards import Shard

A, B, C = (Shard(name, f"/c/{name}", 10, "1") for name in "abc")


def ranges(shards: list[tuple[Shard, int]], num_documents: int, seed: int = 0) -> list[tuple[str, int, int]]:
    asked = Calibration(num_documents=num_documents, seed=seed)
    return [(one.shard.name, one.first_row, one.stop_row) for one in sample(shards, asked)]


def test_a_small_corpus_is_taken_whole() -> None:
    assert ranges([(A, 10), (B, 3)], 13) == [("a", 0, 10), ("b", 0, 3)]
    assert ranges([], 10) == []


def test_runs_come_from_all_strata() -> None:
    found = places(100_000, 1024, seed=0)
    assert len(found) == 128
    assert [first // (100_000 // 128) for first, _ in found][:4] == [0, 1, 2, 3]
    assert {stop - first for first, stop in found} == {RUN}
    assert found == places(100_000, 1024, seed=0) != places(100_000, 1024, seed=1)


def test_runs_may_be_longer() -> None:
    assert {stop - first for first, stop in places(100_000, 1024, 0, run=64)} == {64}
    asked = Calibration(num_documents=200)
    assert [one.num_documents for one in sample([(A, 1000), (B, 1000)], asked, run=100)] == [100, 100]


def test_a_shard_gives_by_its_rows_and_a_run_may_lie_in_two() -> None:
    found = ranges([(A, 3000), (B, 1000), (C, 4)], 400)
    taken = {name: sum(stop - first for shard, first, stop in found if shard == name) for name in "ab"}
    assert taken["a"] == pytest.approx(300, abs=8)
    assert taken["b"] == pytest.approx(100, abs=8)
    tiny = [(Shard(f"{n:03}", f"/{n}", 1, "1"), 3) for n in range(400)]
    found = ranges(tiny, 80)
    assert sum(stop - first for _, first, stop in found) == 80
    assert len(found) > 20  # 10 runs of 8 rows, each over 3 or 4 shards
    assert all(0 <= first < stop <= 3 for _, first, stop in found)


def test_a_sample_of_stretches_keeps_within_them() -> None:
    left = [Stretch(shard=A, first_row=7, stop_row=10), Stretch(shard=B, first_row=100, stop_row=400)]
    assert sample_of(left, 400, 0) == left
    found = sample_of(left, 40, 0)
    assert sum(one.num_documents for one in found) == 40
    bounds = {"a": (7, 10), "b": (100, 400)}
    assert all(bounds[one.shard.name][0] <= one.first_row < one.stop_row <= bounds[one.shard.name][1] for one in found)


@given(st.integers(0, 500), st.integers(2, 200), st.integers(0, 5))
def test_places_are_apart_and_at_most_so_many(num_rows: int, num_documents: int, seed: int) -> None:
    found = places(num_rows, num_documents, seed)
    assert all(0 <= first < stop <= num_rows for first, stop in found)
    assert all(one[1] <= other[0] for one, other in pairwise(found))
    num = sum(stop - first for first, stop in found)
    most = min(num_rows, num_documents)
    assert most * 0.85 - 2 <= num <= most
