"""The workers of one run of a training, from the driver's side: placed, started, asked, listened to."""

from __future__ import annotations

from typing import Any

import ray

from pipelines.run.cluster import cluster_resources
from pipelines.run.reach import require_shared
from pipelines.run.trainings.crew import Crew, crew_for
from pipelines.run.trainings.desk import open_desk
from pipelines.run.trainings.trainer import Fit, launch
from pipelines.run.trainings.training_ground import TrainingGround
from pipelines.train.worker import work


class Muster:
    """A crew at work, and the desk that it talks to."""

    def __init__(self, crew: Crew, desk: Any, fit: Fit) -> None:
        self.crew, self._desk, self._fit = crew, desk, fit

    @classmethod
    def of(cls, ground: TrainingGround, run: str) -> Muster:
        """Place the crew of a training on the cluster that Ray has joined, and start it.

        SpecError where it has no place, or where nodes don't see the same local folders.
        """
        crew = crew_for(ground.pool, cluster_resources().for_training)
        require_shared(output=ground.local_output, inputs=list(ground.local_inputs))
        desk = open_desk()
        config = {"assignment": ground.assignment(run, crew.num_threads), "desk": desk}
        pool = ground.pool
        fit = launch(
            work, config, crew, desk=desk, run=run, max_failures=pool.max_failures,
            resize_seconds=60 * pool.resize_minutes,
        )  # fmt: skip
        return cls(crew, desk, fit)

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; whether the workers are through."""
        return self._fit.wait(seconds)

    def events(self) -> list[dict[str, Any]]:
        """What happened since the last time."""
        return list(ray.get(self._desk.take.remote()))

    def stop(self) -> None:
        """Ask the workers for a checkpoint and the end."""
        ray.get(self._desk.ask_stop.remote())

    def waits_for(self) -> str:
        """What the cluster still lacks for the workers to start, "" nothing."""
        return self.crew.waits_for(cluster_resources().for_training.nodes)

    def raise_error(self) -> None:
        """Nothing after workers that did all; else why they did not: see ``Fit``."""
        self._fit.raise_error()
