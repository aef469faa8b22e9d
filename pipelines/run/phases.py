"""The wall time of a run, by phase."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipelines.run.display import Display


class Phases:
    """A clock that is handed from phase to phase: plan, start, encode, commit."""

    def __init__(self, progress: Display, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress = progress
        self._clock = clock
        self._name = ""
        self._since = clock()
        self._done: dict[str, float] = {}

    def enter(self, name: str) -> None:
        """The phase before ends here, and this one begins."""
        self._done = self.seconds
        self._name, self._since = name, self._clock()
        self._progress.phase(name)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by phase, the one under way included."""
        running = {self._name: self._done.get(self._name, 0.0) + self._clock() - self._since} if self._name else {}
        return self._done | running
