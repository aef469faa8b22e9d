"""The end of a training whose loss is no number any more: at which step, in which instances."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.errors import DivergenceError
from pipelines.train.ranks import Ranks
from pipelines.train.source import Source
from pipelines.train.step import NotFinite

MOST_NAMES = 8
"""So many instances are named of a batch that went wrong."""
WHOLE = "the checkpoints before are whole"


def refuse_divergence(found: NotFinite | None, position: int, batch: int, source: Source, ranks: Ranks) -> None:
    """DivergenceError on all workers if any of them found a step that went wrong; all of them call it.

    ``position`` is that of step 0 as it would be, ``batch`` the instances of a step.
    """
    if not ranks.sum([found is not None])[0]:
        return
    all_found = [one for one in ranks.gathered(found) if one is not None]
    step = min(one.step for one in all_found)
    named: Sequence[str] = ()
    if found is not None and found.step == step and found.micro_batch is not None:
        named = source.names(position + step * batch, batch, ranks.rank, ranks.world, found.micro_batch)
    raise DivergenceError(_message(step, [name for names in ranks.gathered(list(named)) for name in names]))


def _message(step: int, names: Sequence[str]) -> str:
    if not names:
        return (
            f"the gradient of step {step} is not finite, while its loss is: lower learning_rate, or set precision to "
            f"float32; {WHOLE}"
        )
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    listed = ", ".join(names[:MOST_NAMES])
    return (
        f"the loss of step {step} is not finite, in a batch of {listed}{more}: lower learning_rate, or look at these "
        f"instances; {WHOLE}"
    )
