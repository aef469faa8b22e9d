"""The days that a run is asked for, of a corpus in folders by day, such as date=2026-11-23/a.parquet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pipelines.errors import SpecError
from pipelines.store.shards import Shard

DAY = re.compile(r"(?:^|/)[^/=]+=(\d{4}-\d\d-\d\d)[^/]*(?=/)")
"""A folder of a day, or of an hour of it: date=2026-11-23, hour=2026-11-23T05."""


@dataclass(frozen=True, kw_only=True)
class Period:
    """From a day on, and up to another one, which is not in it. "" is no bound; without any, all is in it."""

    since: str = ""
    until: str = ""

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            if day := getattr(self, name):
                _check(name, day)
        if self.since and self.until and self.since >= self.until:
            raise SpecError(f"since is {self.since} and until {self.until}, which is not after it: no day lies between")

    def holds(self, name: str) -> bool:
        """Whether a shard of this name (its path under the corpus) is of these days."""
        if not (self.since or self.until):
            return True
        day = day_of(name)
        return bool(day) and self.since <= day and (not self.until or day < self.until)

    def select(self, shards: Sequence[Shard]) -> list[Shard]:
        """The shards of these days. SpecError where some are of no day: they would be left out in silence."""
        undated = [shard.name for shard in shards if not day_of(shard.name)]
        if undated and (self.since or self.until):
            raise SpecError(
                f"{len(undated)} of {len(shards)} shards (such as {undated[0]}) lie in no folder of a day, such as "
                "date=2026-11-23: leave --since and --until out, or name the folder that holds the days' folders alone"
            )
        return [shard for shard in shards if self.holds(shard.name)]


def day_of(name: str) -> str:
    """The day of the innermost folder that has one in a path; "" where there is none."""
    return next(iter(reversed(DAY.findall(name))), "")


def _check(name: str, day: str) -> None:
    try:
        if date.fromisoformat(day).isoformat() == day:
            return
    except ValueError:
        pass
    raise SpecError(f"{name} is {day!r}: write a day as 2026-11-23")
