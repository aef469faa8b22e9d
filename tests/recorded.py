"""What is recorded by a run that has no Ray: the values by the metrics' names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from pipelines.run.metrics import Metric


@dataclass
class Recorded:
    """Sums of counters and the newest value of gauges, by name; and the tags they came with."""

    values: dict[str, float] = field(default_factory=dict)
    tags: set[tuple[tuple[str, str], ...]] = field(default_factory=set)


@dataclass(frozen=True)
class Instrument:
    """Stands where Ray's own does, and takes what that takes."""

    metric: Metric
    into: Recorded

    def inc(self, value: float, tags: dict[str, str]) -> None:
        assert value > 0
        self._note(self.into.values.get(self.metric.name, 0) + value, tags)

    def set(self, value: float, tags: dict[str, str]) -> None:
        self._note(value, tags)

    def _note(self, value: float, tags: dict[str, str]) -> None:
        assert tuple(tags) == self.metric.tags
        self.into.values[self.metric.name] = value
        self.into.tags.add(tuple(tags.items()))


@contextmanager
def recorded() -> Iterator[Recorded]:
    """Where metrics go while this lasts."""
    into = Recorded()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.run.recorder._has_ray", lambda: True)
        patch.setattr("pipelines.run.recorder._instrument", lambda metric: Instrument(metric, into))
        yield into
