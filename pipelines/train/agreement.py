"""What all workers of a training know of a step before they make it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.train.ranks import Ranks
from pipelines.train.source import Share


@dataclass(frozen=True)
class Agreed:
    """Counts and tokens of all workers, and the first one's clock."""

    counts: dict[str, int]
    tokens: int
    seconds: float
    """Time that the training took so far."""
    step_seconds: float
    """What the step before took."""
    keep: bool
    """Whether any of them was asked for a checkpoint."""
    stop: bool
    """Whether any of them was asked to stop."""


def agree(
    share: Share, losses: Sequence[str], ranks: Ranks, *, clock: tuple[float, float], keep: bool, stop: bool
) -> Agreed:
    """Bring together what each knows of its share; ``clock``: seconds so far, and of the step before. All call it."""
    seen = clock if ranks.is_first else (0.0, 0.0)
    found = ranks.sum([*(share.count(name) for name in losses), share.num_tokens, *seen, keep, stop])
    *counts, tokens, seconds, step_seconds, any_keep, any_stop = found
    named = dict(zip(losses, map(int, counts), strict=True))
    return Agreed(named, int(tokens), seconds, step_seconds, any_keep > 0, any_stop > 0)
