"""The checkpoints of an output: ``_manta/checkpoints/step-<n>/``, the newest few and the best.

Committed is one whose state.json is there; readers look at no other, and the next commit clears such away.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping

from pipelines.errors import FingerprintError, StoreError
from pipelines.fingerprint import differences
from pipelines.store.location import Location
from pipelines.train.checkpoint import STATE, Checkpoint, CorruptError, nobody_minds, read, read_state, write

FOLDER = "_manta/checkpoints"
BEST = f"{FOLDER}/best.json"
NAME = re.compile(rf"{FOLDER}/step-(\d+)/(.+)")


def folder_of(step: int) -> str:
    """Path under the output of the checkpoint after so many steps; names sort as numbers do."""
    return f"{FOLDER}/step-{step:09d}"


def committed_steps(output: Location) -> list[int]:
    """Steps of the checkpoints that are whole as far as a listing shows, rising."""
    found = (NAME.fullmatch(entry.key) for entry in output.list(f"{FOLDER}/"))
    return sorted(int(name[1]) for name in found if name and name[2] == STATE)


class Checkpoints:
    """Writes and finds the checkpoints of one training. Of all its workers one writes.

    ``identity`` is what must not differ between the runs of a training, such as fingerprints, by name. ``guard`` is
    asked before each commit, and raises where this worker is not to write any more.
    """

    def __init__(
        self, output: Location, identity: Mapping[str, str], keep: int, guard: Callable[[], None] = nobody_minds
    ) -> None:
        self._output, self._identity, self._keep, self._guard = output, dict(identity), keep, guard
        self._corrupt: set[int] = set()

    def uri(self, step: int) -> str:
        """Where the checkpoint of this step is."""
        return str(self._output.join(folder_of(step)))

    def newest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest committed one that is what was written; None where there is none at all.

        Each that is not is said; StoreError where all are such. FingerprintError where it is of another training.
        """
        steps = committed_steps(self._output)
        for step in reversed(steps):
            try:
                return self.load(step)
            except CorruptError as error:
                self._corrupt.add(step)
                warn(f"the checkpoint {self.uri(step)} is not used: {error}; the one before is")
        if steps:
            raise StoreError(
                f"none of the {len(steps)} checkpoints in {self._output.join(FOLDER)} can be used: restore one, or "
                "train into another output"
            )
        return None

    def load(self, step: int) -> Checkpoint:
        """The checkpoint of this step; CorruptError, FingerprintError."""
        theirs = read_state(self._output, folder_of(step))["identity"]
        if differing := differences(self._identity, theirs):
            raise FingerprintError(
                f"the checkpoint {self.uri(step)} is of another training: {'; '.join(differing)}; go on with what it "
                "was made with, or train into another output"
            )
        return read(self._output, folder_of(step))

    def save(self, checkpoint: Checkpoint) -> int:
        """Commit a checkpoint, then let go of those that are neither among the newest nor the best. Its bytes.

        StoreError where the world fails: then nothing of it is left, and those before are untouched.
        """
        folder = folder_of(checkpoint.state.step)
        if checkpoint.state.step in self._corrupt:
            self._output.remove([f"{folder}/{STATE}"])
        try:
            num_bytes = write(self._output, folder, checkpoint, self._identity, self._guard)
        except StoreError:
            self._remove(checkpoint.state.step)
            raise
        self._corrupt.discard(checkpoint.state.step)
        self._note_best(checkpoint)
        self._clear()
        return num_bytes

    def best(self) -> tuple[int, float] | None:
        """Step and merit of the best checkpoint that was evaluated."""
        try:
            found = json.loads(self._output.read(BEST))
            step, merit = int(found["step"]), float(found["merit"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return None if step in self._corrupt else (step, merit)

    def _note_best(self, checkpoint: Checkpoint) -> None:
        merit, best = checkpoint.state.merit, self.best()
        if merit is None or math.isnan(merit):
            return
        if best is None or merit > best[1] or best[0] not in committed_steps(self._output):
            self._output.put(BEST, json.dumps({"step": checkpoint.state.step, "merit": merit}).encode())

    def _clear(self) -> None:
        steps = [step for step in committed_steps(self._output) if step not in self._corrupt]
        best = self.best()
        kept = {*steps[-self._keep :], *([best[0]] if best else [])}
        for step in self._all_steps():
            if step not in kept:
                self._remove(step)

    def _all_steps(self) -> list[int]:
        found = (NAME.fullmatch(entry.key) for entry in self._output.list(f"{FOLDER}/"))
        return sorted({int(name[1]) for name in found if name})

    def _remove(self, step: int) -> None:
        """Its state first: what is half removed must not look whole."""
        folder = folder_of(step)
        self._output.remove([f"{folder}/{STATE}"])
        self._output.remove([entry.key for entry in self._output.list(f"{folder}/")])
