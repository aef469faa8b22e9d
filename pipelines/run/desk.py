"""The desk between the workers of a training and its driver: an actor beside the driver that keeps what either says.

Workers can't call the driver, and the driver can't call workers, which are busy and come and go. So rank 0 and Ray's
controller put what happens on the desk, the driver takes it from there, and what the driver asks for lies there too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

Event = Mapping[str, Any]


class Desk:
    """What is on the desk. Its methods take no time, so that nobody waits for another."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._asked = ""

    def tell(self, events: Sequence[Event]) -> str:
        """Put events there, in order; what the driver asks for: see ``asked``."""
        self._events += events
        return self._asked

    def take(self) -> list[Event]:
        """All that was put there since the last time."""
        events, self._events = self._events, []
        return events

    def ask(self, what: str) -> None:
        """Ask the workers for something: "stop" is a checkpoint, and then the end."""
        self._asked = what

    def asked(self) -> str:
        """What the driver asks for, "" nothing."""
        return self._asked


def open_desk() -> Any:
    """A handle of a new desk on this node. It needs no CPU, and ends with the driver."""
    here = NodeAffinitySchedulingStrategy(node_id=ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Desk).options(num_cpus=0, scheduling_strategy=here).remote()
