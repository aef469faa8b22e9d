"""What a worker of a training is given: all that it needs to begin, or to go on, on whichever node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.learning_spec import TrainPool
from pipelines.model.architecture import Architecture
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.spec import Storage
from pipelines.store.location import Location
from pipelines.store.models import ModelReference, fetch
from pipelines.train.course import Course


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What a training begins with: a config, and the model whose weights it goes on from, where there is one."""

    name: str
    config: Mapping[str, Any]
    hash: str
    """Of the model's files, or of the config."""
    model: ModelReference | None = None

    def architecture(self, storage: Storage) -> Architecture:
        """The same on this node, the model fetched if it is not here."""
        folder: ModelFolder | None = read_folder(fetch(self.model, storage)) if self.model else None
        return Architecture(name=self.name, config=self.config, checkpoint=folder)


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A training. Picklable, and good on every node."""

    run: str
    course: Course
    pool: TrainPool
    num_threads: int
    """Threads of the network on a CPU."""
    output: Location
    identity: Mapping[str, str]
    """What must not differ between the runs of this training, by name."""
