"""A training that is small enough to count by hand: two losses, and instances that are functions of their number."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pipelines.store.location import Location, locate
from pipelines.text.draws import below
from pipelines.train.checkpoints import Checkpoints
from pipelines.train.evaluation import Evaluator, LossEvaluator
from pipelines.train.events import Event
from pipelines.train.keeper import Keeper
from pipelines.train.loop import Training
from pipelines.train.optimizer import AdamSettings
from pipelines.train.ranks import Ranks
from pipelines.train.recipe import Cadence, Recipe
from pipelines.train.schedule import Pace, Schedule
from pipelines.train.source import Share

WORDS, CLASSES, WIDTH = 7, 2, 16
NOT_A_NUMBER = 5
"""Instance whose loss is none, where ``SmallSource.poison`` is set."""


@dataclass(frozen=True)
class Told:
    """See ``pipelines.train.source.LossSum``."""

    sum: Tensor
    correct: Tensor


@dataclass(frozen=True)
class SmallBatch:
    """Instances by number; each tells ``number % 3`` words, and one in two of them a class."""

    numbers: Sequence[int]
    poison: bool = False

    def words(self) -> list[tuple[int, int]]:
        """(instance, word) of all that is to be told."""
        return [(n, (n + k) % WORDS) for n in self.numbers for k in range(n % 3)]

    def classes(self) -> list[tuple[int, int]]:
        """(instance, class)."""
        return [(n, n // 2 % CLASSES) for n in self.numbers if n % 2 == 0]

    def counts(self) -> dict[str, int]:
        """How much there is to tell."""
        return {"words": len(self.words()), "classes": len(self.classes())}


class SmallModel(nn.Module):
    """A table of vectors, a norm, dropout and two heads, one of which shares the table's weight."""

    def __init__(self, dropout: float = 0.0, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.table = nn.Embedding(WORDS, WIDTH)
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.dropout = nn.Dropout(dropout)
        self.words = nn.Linear(WIDTH, WORDS)
        self.words.weight = self.table.weight
        self.classes = nn.Linear(WIDTH, CLASSES)
        self.register_buffer("kept", torch.zeros(1))
        self.register_buffer("made", torch.zeros(1), persistent=False)

    def forward(self, batch: SmallBatch) -> dict[str, Told]:
        """Losses by name."""
        found = {"words": self._told(self.words, batch.words()), "classes": self._told(self.classes, batch.classes())}
        if batch.poison and NOT_A_NUMBER in batch.numbers:
            found["words"] = Told(found["words"].sum * torch.nan, found["words"].correct)
        return found

    def _told(self, head: nn.Module, told: list[tuple[int, int]]) -> Told:
        inputs = torch.tensor([n % WORDS for n, _ in told] or [0])
        targets = torch.tensor([target for _, target in told] or [-100])
        logits = head(self.dropout(self.norm(torch.tanh(self.inner(self.table(inputs)))))).float()
        loss = cross_entropy(logits, targets, ignore_index=-100, reduction="sum")
        return Told(loss, (logits.argmax(-1) == targets).sum().float())


@dataclass
class SmallSource:
    """Instances 0, 1, 2, ... in an order of their own, cut into micro-batches of ``micro``."""

    micro: int = 100
    held: Sequence[int] = (3, 4, 8, 10)
    poison: bool = False
    seen: list[int] = field(default_factory=list)
    losses: Sequence[str] = ("words", "classes")

    def steps(self, position: int, count: int, rank: int, world: int) -> Generator[Share, None, None]:
        """See ``pipelines.train.source.Source``."""
        while True:
            batches = list(self._batches(position, count, rank, world))
            self.seen += [n for batch in batches for n in batch.numbers]
            yield Share(batches=batches, num_tokens=sum(len(b.numbers) for b in batches), flops=10.0)
            position += count

    def held_out(self, rank: int, world: int) -> Iterator[SmallBatch]:
        """Every world-th."""
        if mine := self.held[rank::world]:
            yield SmallBatch(mine)

    def names(self, position: int, count: int, rank: int, world: int, micro_batch: int) -> list[str]:
        """document-N."""
        return [f"document-{n}" for n in list(self._batches(position, count, rank, world))[micro_batch].numbers]

    def _batches(self, position: int, count: int, rank: int, world: int) -> Iterator[SmallBatch]:
        mine = range(position + rank * count // world, position + (rank + 1) * count // world)
        numbers = [int(below(50, 1, place)) if not self.poison else place for place in mine]
        for first in range(0, len(numbers), self.micro):
            yield SmallBatch(numbers[first : first + self.micro], self.poison)


class Clock:
    """Goes on by so much each time that it is looked at."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now, self.tick = 100.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


ADAM = AdamSettings(weight_decay=0.01, max_grad_norm=1.0)


TWELVE = Pace(max_steps=12)


def small_recipe(pace: Pace = TWELVE, batch: int = 12) -> Recipe:
    """Twelve steps of twelve instances, or of another number of either."""
    schedule = Schedule(kind="linear", peak=0.01, warmup=0.2)
    return Recipe(global_batch=batch, pace=pace, schedule=schedule, adam=ADAM, seed=3, precision="float32")


@dataclass
class Small:
    """A training, and what it told."""

    model: SmallModel
    training: Training
    events: list[Event]
    begun: list[int]
    """Steps that it went on from."""

    def of(self, kind: type[Any]) -> list[Any]:
        """Events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


def small(
    output: Location | Path,
    *,
    ranks: Ranks = Ranks(),
    model: SmallModel | None = None,
    source: SmallSource | None = None,
    recipe: Recipe | None = None,
    evaluator: Evaluator | None = None,
    stop_after: int | None = None,
    keep_after: int | None = None,
    every_steps: int = 4,
    every_seconds: float = 0.0,
    keep: int = 2,
    identity: Mapping[str, str] = {"spec": "abc"},
    clock: Any = None,
) -> Small:
    """A training into an output, asked to stop, or for a checkpoint, once so many steps are done in this run."""
    events, begun = list[Event](), list[int]()
    model, source = model or SmallModel(), source or SmallSource()
    location = output if isinstance(output, Location) else locate(str(output))
    clock = clock or Clock()
    keeper = Keeper(
        Checkpoints(location, identity, keep),
        every_steps=every_steps,
        every_seconds=every_seconds,
        ranks=ranks,
        observer=events.append,
        clock=clock,
        sleep=lambda seconds: None,
    )
    asked, wished = iter(range(10**9)), iter(range(10**9))
    training = Training(
        model,
        source,
        evaluator=evaluator or LossEvaluator(model, source.losses, "float32"),
        recipe=recipe or small_recipe(),
        cadence=Cadence(log_steps=3, eval_steps=6),
        keeper=keeper,
        ranks=ranks,
        observer=events.append,
        on_begin=lambda state: begun.append(state.step),
        should_keep=lambda: next(wished) == keep_after,
        should_stop=lambda: next(asked) == stop_after,
        clock=clock,
    )
    return Small(model, training, events, begun)


def flat(model: nn.Module) -> np.ndarray[Any, Any]:
    """All weights, one after another."""
    return np.concatenate([weight.detach().numpy().ravel() for weight in model.parameters()])
