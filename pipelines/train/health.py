"""A watch over a training: what goes wrong in it, told by the rows of its log, with the cause that it mostly has.

Each fault is told once. A row is a mapping of numbers by name: step, loss_mlm, accuracy_nsp and so on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Protocol

Row = Mapping[str, float]

TOKENS = ("mlm", "clm", "span")
"""Names of losses that tell tokens."""
WINDOW = 20
"""Rows that are looked at together: single steps say little."""
NEAR_ENTROPY = 0.04
"""So near to the unigram entropy, as a share of it, a loss is on the plateau."""
MOST_DATA_WAIT = 0.05
CHANCE = 0.5
NEAR_CHANCE = 0.03
FALLEN = 0.9
"""A loss that is below this share of what it was at the window's beginning falls."""
RISEN = 1.3
"""A loss that is above this multiple of its least rises."""


class Watch(Protocol):
    """A watch over one training."""

    def look(self, row: Row, *, held_out: bool) -> list[str]:
        """What is wrong as of this row of the log, or of an evaluation, and was not told before, a sentence each."""
        ...


class HealthWatch:
    """Looks at one row after another; ``unigram_entropy`` is the corpus', in nats (0: not known).

    ``checks`` are the names of those that are made; (): all.
    """

    def __init__(self, unigram_entropy: float = 0.0, checks: Sequence[str] = ()) -> None:
        self._entropy, self._checks = unigram_entropy, checks
        self._rows: deque[Row] = deque(maxlen=WINDOW)
        self._least = float("inf")
        self._told: set[str] = set()

    def look(self, row: Row, *, held_out: bool = False) -> list[str]:
        """What is wrong as of this row and was not told before, a sentence each with cause and remedy."""
        if held_out:
            return []
        self._rows.append(row)
        if len(self._rows) < WINDOW:
            return []
        checks = [check for check in CHECKS if not self._checks or check.__name__ in self._checks]
        faults = {check.__name__: check(self) for check in checks if check.__name__ not in self._told}
        found = {name: text for name, text in faults.items() if text}
        self._told |= found.keys()
        return list(found.values())

    def _mean(self, name: str) -> float | None:
        """Mean of the window; None where a row lacks it."""
        values = [row[name] for row in self._rows if name in row]
        return fmean(values) if len(values) == WINDOW else None

    def _ends(self, name: str) -> tuple[float, float]:
        """Means of the window's first and last quarter."""
        values = [row[name] for row in self._rows]
        quarter = WINDOW // 4
        return fmean(values[:quarter]), fmean(values[-quarter:])

    @property
    def _step(self) -> int:
        return int(self._rows[-1].get("step", 0))

    def plateau(self) -> str:
        """The loss stays where token frequencies alone bring it."""
        name = next((name for name in TOKENS if f"loss_{name}" in self._rows[-1]), "")
        loss = self._mean(f"loss_{name}")
        if loss is None or not self._entropy or abs(loss / self._entropy - 1) > NEAR_ENTROPY:
            return ""
        before, now = self._ends(f"loss_{name}")
        if now < before * (1 - NEAR_ENTROPY):
            return ""
        return (
            f"step {self._step}: the {name.upper()} loss stays at {loss:.2f}, near the unigram entropy of the corpus "
            f"({self._entropy:.2f}): the model knows how frequent tokens are and uses no context yet; small models "
            "stay there for thousands of steps, and where it lasts a higher learning rate, or a checkpoint to go on "
            "from, brings it off"
        )

    def chance(self) -> str:
        """Sentence pairs are told at random while masks are told better and better."""
        name = next((name for name in ("nsp", "sop") if f"accuracy_{name}" in self._rows[-1]), "")
        accuracy = self._mean(f"accuracy_{name}") if name else None
        if accuracy is None or abs(accuracy - CHANCE) > NEAR_CHANCE or self._mean("loss_mlm") is None:
            return ""
        before, now = self._ends("loss_mlm")
        if now > before * FALLEN:
            return ""
        return (
            f"step {self._step}: the MLM loss fell from {before:.2f} to {now:.2f}, and {name.upper()} is still at "
            f"chance ({accuracy:.0%} right): its labels may be wrong, or all documents about the same; look at the "
            "share of random pairs that prepare reported, and whether documents are whole texts rather than sentences"
        )

    def data_wait(self) -> str:
        """The network waits for its data."""
        wait = self._mean("data_wait")
        if wait is None or wait <= MOST_DATA_WAIT:
            return ""
        return (
            f"step {self._step}: {wait:.0%} of the time is spent waiting for data: the instances lie far away, or a "
            "worker has too few CPUs to read and mask them; give it more (--train.num_cpus), or copy them nearer"
        )

    def rising(self) -> str:
        """The loss goes up again."""
        loss = self._mean("loss")
        if loss is None:
            return ""
        self._least = min(self._least, loss)
        if loss < RISEN * self._least:
            return ""
        return (
            f"step {self._step}: the loss is {loss:.2f}, and was {self._least:.2f}: the training diverges; go back to "
            "an earlier checkpoint with a lower learning rate, a longer warm-up, or gradients that are clipped"
        )


CHECKS: tuple[Callable[[HealthWatch], str], ...] = (
    HealthWatch.plateau, HealthWatch.chance, HealthWatch.data_wait, HealthWatch.rising,
)  # fmt: skip
