"""When a checkpoint is due, and who writes it: the first worker, while the others wait for it at the next step."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipelines.errors import StoreError
from pipelines.train.checkpoint import Checkpoint, CorruptError, State
from pipelines.train.checkpoints import Checkpoints
from pipelines.train.events import Checkpointed, Observer, Warned
from pipelines.train.ranks import Ranks

PAUSES = (2.0, 10.0)
"""Seconds before a checkpoint that could not be written is tried again."""


class Keeper:
    """Keeps checkpoints every so many steps and seconds of the training (0: not by this).

    A checkpoint that cannot be written is tried again; then the training ends with StoreError, rather than going on
    for hours that may be lost. Those before stay as they are.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        *,
        every_steps: int = 0,
        every_seconds: float = 0.0,
        ranks: Ranks = Ranks(),
        observer: Observer = lambda event: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._checkpoints, self._ranks, self._observer = checkpoints, ranks, observer
        self._every_steps, self._every_seconds = every_steps, every_seconds
        self._clock, self._sleep = clock, sleep
        self._kept = State()

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole, the same on all workers, all of which call it; None: there is none."""
        found: Checkpoint | None = None
        if self._ranks.is_first:
            found = self._checkpoints.newest(lambda message: self._observer(Warned(message=message)))
        step = self._ranks.of_first(found and found.state.step)
        if step is not None and found is None:
            found = self._same(step)
        self._kept = found.state if found else State()
        return found

    def at(self, step: int) -> Checkpoint | None:
        """The checkpoint of this step on all workers, all of which call it; None where it is gone or broken."""
        found: Checkpoint | None = None
        if self._ranks.is_first:
            try:
                found = self._checkpoints.load(step)
            except CorruptError as error:
                uri = self._checkpoints.uri(step)
                self._observer(Warned(message=f"the checkpoint {uri} is not used: {error}; the last one is"))
        if not self._ranks.of_first(found is not None):
            return None
        return found or self._same(step)

    def is_due(self, state: State) -> bool:
        """Whether it is time for one."""
        if state.step == self._kept.step:
            return False
        by_steps = self._every_steps and state.step % self._every_steps == 0
        late = self._every_seconds and state.seconds - self._kept.seconds >= self._every_seconds
        return bool(by_steps or late)

    def keep(self, state: State, make: Callable[[], Checkpoint]) -> None:
        """Keep the training as it is in this state, unless it is kept already. StoreError."""
        if state.step == self._kept.step:
            return
        self._kept = state
        if self._ranks.is_first:
            began = self._clock()
            num_bytes = self._save(make())
            seconds = self._clock() - began
            uri = self._checkpoints.uri(state.step)
            self._observer(Checkpointed(step=state.step, uri=uri, num_bytes=num_bytes, seconds=seconds))

    def _save(self, checkpoint: Checkpoint) -> int:
        for pause in PAUSES:
            try:
                return self._checkpoints.save(checkpoint)
            except StoreError as error:
                step = checkpoint.state.step
                self._observer(Warned(message=f"no checkpoint of step {step} yet: {error}; next try in {pause:g} s"))
                self._sleep(pause)
        return self._checkpoints.save(checkpoint)

    def _same(self, step: int) -> Checkpoint:
        """The checkpoint that the first worker found."""
        try:
            return self._checkpoints.load(step)
        except CorruptError as error:
            raise StoreError(
                f"worker {self._ranks.rank} can't use the checkpoint {self._checkpoints.uri(step)}, which the first "
                f"one can: {error}; see that all of them read the same files, and run again"
            ) from error
