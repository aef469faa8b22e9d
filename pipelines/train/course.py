"""What differs between trainings, so that one loop, one crew and one end serve all of them.

A course is what the driver gives to every worker: picklable, and good on every node. There it gives equipment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from torch import nn

from pipelines.train.evaluation import Evaluator
from pipelines.train.loop import Outcome
from pipelines.train.ranks import Ranks
from pipelines.train.recipe import Recipe
from pipelines.train.source import Source

if TYPE_CHECKING:
    from pipelines.train.assignment import Assignment


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """A course on one worker: what the loop is made of, and what becomes of the network."""

    model: nn.Module
    source: Source
    evaluator: Evaluator
    remarks: tuple[str, ...]
    """What whoever trains should know of how it was made, a line each."""
    facts: Callable[[], Mapping[str, Any]]
    """What the worker says of itself, and of what a loss is to be compared with; the first worker alone is asked."""
    deliver: Callable[[Outcome], Mapping[str, Any]]
    """Put the model into the output, and what is to be told of it. All workers call it, and the first one writes."""


class Course(Protocol):
    """Pretraining is one, fine-tuning another."""

    @property
    def recipe(self) -> Recipe:
        """What decides the weights, beside data and network."""
        ...

    def equip(self, assignment: Assignment, ranks: Ranks, attempt: int) -> Equipment:
        """Make the network and open the data on this worker. ``attempt`` counts how often workers were started.

        SpecError where either can't be had.
        """
        ...
