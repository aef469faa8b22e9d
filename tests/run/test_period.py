"""Which shards are of which days, by the folders that they lie in."""

from __future__ import annotations

import pytest

from pipelines.errors import SpecError
from pipelines.run.period import Period, day_of
from pipelines.store.shards import Shard

NAMES = [f"lang=en/date=2026-11-{day}/a.parquet" for day in (22, 23, 24)]


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("date=2026-11-23/a.parquet", "2026-11-23"),
        ("lang=en/dt=2026-11-23/part/a.parquet", "2026-11-23"),
        ("date=2026-11-23/hour=2026-11-24T05/a.parquet", "2026-11-24"),
        ("2026-11-23/a.parquet", ""),
        ("lang=en/date=2026-11-23.parquet", ""),
    ],
)
def test_a_day_is_that_of_the_innermost_folder(name: str, day: str) -> None:
    assert day_of(name) == day


@pytest.mark.parametrize(
    ("period", "held"),
    [
        (Period(), [0, 1, 2]),
        (Period(since="2026-11-23"), [1, 2]),
        (Period(until="2026-11-23"), [0]),
        (Period(since="2026-11-22", until="2026-11-24"), [0, 1]),
        (Period(since="2027-01-01"), []),
    ],
)
def test_the_first_day_is_in_it_and_the_last_is_not(period: Period, held: list[int]) -> None:
    shards = [Shard(name, f"/c/{name}", 1, "v") for name in NAMES]
    assert period.select(shards) == [shards[place] for place in held]


def test_shards_of_no_day_are_not_left_out_in_silence() -> None:
    shards = [Shard("a.parquet", "/c/a.parquet", 1, "v"), Shard(NAMES[0], f"/c/{NAMES[0]}", 1, "v")]
    assert Period().select(shards) == shards
    with pytest.raises(
        SpecError, match=r"1 of 2 shards \(such as a\.parquet\) lie in no folder of a day, such as date="
    ):
        Period(since="2026-11-23").select(shards)
