"""What a training stands on, whatever it is of: its course, its output, and what people are told of both.

The survey of a job makes it, before Ray starts: ``pipelines.run.trainings.pretrain_ground`` for pretraining.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.errors import SpecError
from pipelines.learning_spec import LearningSpec, TrainPool
from pipelines.store.location import Location
from pipelines.store.training_output import FINISHED, TrainingSpec, claim
from pipelines.train.assignment import Assignment
from pipelines.train.checkpoints import committed_steps
from pipelines.train.course import Course
from pipelines.train.health import Watch


@dataclass(frozen=True, kw_only=True)
class About:
    """What reports, cards and displays say of a training."""

    job: str
    """The job's name, "pretrain"."""
    begins_with: str
    """The architecture, or the model."""
    objective: str
    """What is learnt: the objective, or the task."""
    corpus: str
    """Where the data are."""
    num_instances: int
    """Instances of an epoch."""
    num_held_out: int
    """Instances to evaluate on there are."""
    global_batch: int
    """Instances of a step."""
    max_steps: int
    """Length of the training; 0 where it is not known in steps."""
    made_of: Mapping[str, Any]
    """Names and values of what a card tells of the data."""
    spec: Mapping[str, Any]
    """The spec, as ``pipelines.fingerprint.canonical`` gives it."""
    watch: Callable[[Mapping[str, Any]], Watch]
    """A watch over the training's health, from what the workers say of themselves when they begin."""
    pipeline: str = ""
    """The model's pipeline in transformers; "": as its losses say."""
    evaluated_on: str = ""
    """Which data its metrics are of."""
    remarks: tuple[str, ...] = ()
    """What whoever trains should know of the data, a line each."""


@dataclass(frozen=True, kw_only=True)
class TrainingGround:
    """Course and output of a training. Nothing was written."""

    course: Course
    pool: TrainPool
    output: Location
    agreed: TrainingSpec
    about: About
    resume: bool
    """Go on from the newest checkpoint of the output."""
    local_inputs: tuple[str, ...]
    """Paths of data and model that are on a disk."""

    @property
    def local_output(self) -> str:
        """Path of an output on a disk, "" elsewhere."""
        return self.output.path if self.output.is_local else ""

    @property
    def newest_step(self) -> int | None:
        """Step of the output's newest checkpoint; None where there is none."""
        return max(committed_steps(self.output), default=None)

    @property
    def is_finished(self) -> bool:
        """Whether the training came to its end."""
        return self.output.stat(FINISHED) is not None

    def claim(self) -> int | None:
        """Begin or go on in the output; the step that it goes on from. See ``training_output.claim``."""
        newest = self.newest_step
        claim(self.output, self.agreed, newest, resume=self.resume)
        return newest

    def assignment(self, run: str, num_threads: int) -> Assignment:
        """What a worker is given."""
        return Assignment(
            run=run,
            course=self.course,
            pool=self.pool,
            num_threads=num_threads,
            output=self.output,
            identity={"fingerprint": self.agreed.fingerprint},
        )


def check_batch(spec: LearningSpec, pool: TrainPool) -> None:
    """SpecError where a step has fewer instances than there are workers."""
    _, most = pool.worker_range
    if spec.global_batch < most:
        raise SpecError(
            f"{type(spec).__name__}.global_batch is {spec.global_batch}, less than {most} workers: raise it, or lower "
            "train.workers"
        )


def check_apart(output: Location, places: Iterable[tuple[str, str]]) -> None:
    """Refuse an output that lies in one of the inputs, or holds it; each has a name and a URI or path ("": none)."""
    for name, place in places:
        here, there = f"{output.uri.rstrip('/')}/", f"{place.rstrip('/')}/"
        if place and (here.startswith(there) or there.startswith(here)):
            raise SpecError(
                f"the output {output} and the {name} {place} lie in one another: give --output a folder beside"
            )
