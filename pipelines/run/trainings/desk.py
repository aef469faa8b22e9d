"""The desk between the workers of a training and its driver: an actor beside the driver that keeps what either says.

Workers can't call the driver, and the driver can't call workers, which are busy and come and go. So the first worker
and Ray's controller put what happens on the desk, the driver takes it from there, and what is asked of the workers lies
there too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

Event = Mapping[str, Any]
"""What happened: "event" is its kind, the rest its facts."""


class Desk:
    """What is on the desk. Its methods take no time, so that nobody waits for another."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._attempts = 0
        self._at_work = False
        self._kept = 0
        self._stop = False
        self._checkpoints = 0

    def begin(self) -> int:
        """Workers have started, for the first time or again: how often they did before."""
        self._attempts += 1
        return self._attempts - 1

    def tell(self, events: Sequence[Event]) -> None:
        """Put events there, in order."""
        self._events += events
        for event in events:
            self._at_work = {"began": True, "failed": False, "ended": False}.get(event["event"], self._at_work)
            self._kept += event["event"] == "checkpointed"

    def take(self) -> list[Event]:
        """All that was put there since the last time."""
        events, self._events = self._events, []
        return events

    def ask_stop(self) -> None:
        """Ask the workers for a checkpoint and then the end."""
        self._stop = True

    def ask_checkpoint(self) -> None:
        """Ask them for a checkpoint."""
        self._checkpoints += 1

    def kept(self) -> tuple[bool, int]:
        """Whether workers are at work; how many checkpoints were kept."""
        return self._at_work, self._kept

    def asked(self) -> tuple[bool, int]:
        """Whether they are to stop; how many checkpoints they were asked for."""
        return self._stop, self._checkpoints


def open_desk() -> Any:
    """A handle of a new desk on this node. It needs no CPU, and ends with the driver."""
    here = NodeAffinitySchedulingStrategy(node_id=ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Desk).options(num_cpus=0, scheduling_strategy=here).remote()
