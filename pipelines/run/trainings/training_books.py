"""What a training's events add up to: where it is, what it came to, and what went wrong on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Event = Mapping[str, Any]
DONE = "done"
"""Outcome of workers that came to the training's end."""


@dataclass(frozen=True, kw_only=True)
class Restart:
    """Workers were started again: after which failure, and from where on."""

    rank: int
    reason: str
    step: int


@dataclass
class TrainingBooks:
    """Kept by the driver, event by event (``note``)."""

    first_step: int = 0
    """Where this run of the training began."""
    step: int = 0
    """The last that is known to be done."""
    row: dict[str, Any] = field(default_factory=dict)
    """The newest point of the curves."""
    evaluation: dict[str, Any] = field(default_factory=dict)
    """The newest evaluation on held-out instances."""
    best: dict[str, Any] = field(default_factory=dict)
    """The one with the greatest merit, of those in this run."""
    checkpoint: int | None = None
    """Step of the newest checkpoint of this run."""
    checkpoint_bytes: int = 0
    checkpoint_seconds: float = 0.0
    """All checkpoints of this run together."""
    workers: list[int] = field(default_factory=list)
    """How many there were, each time that they were started."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the workers say of themselves: device, chip, precision, path."""
    restarts: list[Restart] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    delivered: dict[str, Any] = field(default_factory=dict)
    """What workers told of the model when they delivered it."""
    outcome: str = ""
    """"done", "stopped", or "" where the workers did not come to an end."""
    _failure: Event | None = None

    def note(self, event: Event) -> str:
        """Take in an event; a line that tells of it where it is no matter of course."""
        name = str(event["event"])
        line = getattr(self, f"_{name}", lambda event: "")(event)
        return str(line)

    def _began(self, event: Event) -> str:
        again = bool(self.workers)
        before = self.workers[-1] if again else 0
        self.workers.append(event["workers"])
        self.facts |= {name: value for name, value in event.items() if name not in ("event", "step", "workers")}
        from_step = event["step"]
        self.step = from_step
        if not again:
            self.first_step = from_step
            return f"going on from step {from_step:,}" if from_step else ""
        failure, self._failure = self._failure, None
        if failure:
            self.restarts.append(Restart(rank=failure["rank"], reason=failure["reason"], step=from_step))
            count = f", {event['workers']} of them now" if event["workers"] != before else ""
            return f"the workers go on from step {from_step:,}{count}"
        moved = (
            "the workers were moved" if event["workers"] == before else f"{before} workers became {event['workers']}"
        )
        return f"{moved}: they go on from step {from_step:,}"

    def _failed(self, event: Event) -> str:
        again = self._failure is not None
        self._failure = event
        return "" if again else f"worker {event['rank']} failed: {event['reason']}; all are started again"

    def _stepped(self, event: Event) -> str:
        self.row = _numbers(event)
        self.step = int(event["step"])
        return ""

    def _evaluated(self, event: Event) -> str:
        self.evaluation = _numbers(event)
        if not self.best or self.evaluation.get("merit", -math.inf) > self.best.get("merit", -math.inf):
            self.best = self.evaluation
        return ""

    def _checkpointed(self, event: Event) -> str:
        self.checkpoint = self.step = int(event["step"])
        self.checkpoint_bytes = event["num_bytes"]
        self.checkpoint_seconds += event["seconds"]
        return ""

    def _warned(self, event: Event) -> str:
        self.warnings.append(event["message"])
        return str(event["message"])

    def _ended(self, event: Event) -> str:
        self.outcome, self.step = event["outcome"], event["step"]
        self.delivered = event.get("delivered", {})
        return f"no better any more: it ended early, at step {self.step:,}" if event.get("early") else ""


def warned(message: str) -> dict[str, Any]:
    """An event that tells something in one line."""
    return {"event": "warned", "message": message}


def _numbers(event: Event) -> dict[str, Any]:
    """The facts of an event that are numbers."""
    return {name: value for name, value in event.items() if isinstance(value, int | float)}
