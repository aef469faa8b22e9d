"""What the loop takes of a spec and of the pool settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipelines.learning_spec import LearningSpec, TrainPool
from pipelines.train.optimizer import AdamSettings
from pipelines.train.schedule import Pace, Schedule


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides the weights that come out, beside data and network."""

    global_batch: int
    """Instances of a step, on all workers together."""
    pace: Pace
    schedule: Schedule
    adam: AdamSettings
    seed: int = 0
    """Decides dropout."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    loss_weights: Mapping[str, float] = field(default_factory=dict)
    """By name of a loss what it counts beside the others; 1 where it has none here."""
    patience: int = 0
    """End after so many evaluations in a row without a better one; 0: never."""
    deliver: Literal["best", "last"] = "last"
    """Which weights the network has at the end. best: those of the best evaluation, each better one being kept."""
    most_eval_steps: int = 0
    """Steps after which there is an evaluation at the latest, where there are any on the way; 0: as the cadence is."""

    @classmethod
    def of(cls, spec: LearningSpec) -> Recipe:
        """As a spec has it whose length is one of those that any training has."""
        return cls(
            global_batch=spec.global_batch,
            pace=Pace(max_steps=spec.max_steps, max_tokens=spec.max_tokens, max_seconds=spec.budget_seconds),
            schedule=Schedule(kind=spec.schedule, peak=spec.learning_rate, warmup=spec.warmup, decay=spec.decay),
            adam=AdamSettings(
                weight_decay=spec.weight_decay,
                betas=spec.betas,
                epsilon=spec.epsilon,
                max_grad_norm=spec.max_grad_norm,
            ),
            seed=spec.seed,
            precision=spec.precision,
        )


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """How often a training tells what it did; 0: never, but for an evaluation at the end."""

    log_steps: int = 10
    eval_steps: int = 0

    @classmethod
    def of(cls, pool: TrainPool, recipe: Recipe) -> Cadence:
        """As the pool settings have it, within what the recipe allows."""
        eval_steps = min(pool.eval_steps, recipe.most_eval_steps or pool.eval_steps)
        return cls(log_steps=pool.log_steps, eval_steps=eval_steps)
