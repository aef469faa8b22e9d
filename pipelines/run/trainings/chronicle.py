"""What a training leaves behind for people beside its model: curves as a picture, TensorBoard's events, the card.

A chronicle hears of every event. It goes on from the history that the newest checkpoint holds, and forgets what workers
do again after they went back to one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from pipelines.run.trainings.board import Board
from pipelines.run.trainings.curves import Curves, draw
from pipelines.store.location import Location
from pipelines.train.checkpoint import HISTORY
from pipelines.train.checkpoints import folder_of
from pipelines.train.health import Watch

PICTURE = "curves.png"
DRAW_SECONDS = 120.0
"""Least time between two pictures of a training that goes on."""
Row = dict[str, float]


class Chronicle:
    """The chronicle of a training in its output.

    ``watch`` makes a watch over its health from what workers say of themselves, and ``warn`` takes what it finds.
    """

    def __init__(
        self,
        output: Location,
        *,
        title: str,
        newest_step: int | None,
        watch: Callable[[Mapping[str, Any]], Watch],
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._output, self._title, self._warn, self._clock = output, title, warn, clock
        self.rows: list[Row] = []
        self.evaluations: list[Row] = []
        self._notes: dict[int, str] = {}
        self._entropy, self._watch_over, self._watch, self._workers = 0.0, watch, watch({}), 0
        self._drawn, self._is_old = clock(), True
        for event in read_history(output, newest_step):
            self._keep(event)
        self._board = Board(output, first_step=(newest_step or -1) + 1)

    def observe(self, event: Mapping[str, Any]) -> None:
        """Take in an event as the desk has it."""
        kind, self._is_old = event["event"], False
        if kind == "began":
            self._begin(event)
        elif kind in ("stepped", "evaluated"):
            row = self._keep(event)
            self._board.add(row, held_out=kind == "evaluated")
            for text in self._watch.look(row, held_out=kind == "evaluated"):
                self._warn(text)
        if kind in ("evaluated", "checkpointed") and self._clock() - self._drawn >= DRAW_SECONDS:
            self.publish()

    def publish(self) -> None:
        """Bring picture and events up to date. StoreError where the output can't be reached."""
        if self.rows:
            curves = Curves(self.rows, self.evaluations, self._entropy, self._title, self._notes)
            self._output.put(PICTURE, draw(curves))
        self._board.publish()
        self._drawn = self._clock()

    @property
    def evaluation(self) -> Row:
        """The last evaluation, also of a run before; {} where there was none."""
        return self.evaluations[-1] if self.evaluations else {}

    def close(self) -> None:
        """Publish for the last time, where anything happened."""
        if not self._is_old:
            self._board.close()
            self.publish()

    def _begin(self, event: Mapping[str, Any]) -> None:
        """Workers begin, or begin again: steps after the one that they go on from are done once more."""
        step, workers = int(event["step"]), int(event["workers"])
        self._entropy = float(event.get("unigram_entropy", 0.0))
        self._watch = self._watch_over(event)
        self.rows = [row for row in self.rows if row["step"] <= step]
        self.evaluations = [row for row in self.evaluations if row["step"] <= step]
        if step and (self._workers or workers > 1):
            self._notes[step] = f"{workers} worker{'s' if workers != 1 else ''}"
        self._workers = workers

    def _keep(self, event: Mapping[str, Any]) -> Row:
        row = {name: value for name, value in event.items() if isinstance(value, int | float)}
        (self.rows if event["event"] == "stepped" else self.evaluations).append(row)
        return row


def read_history(output: Location, step: int | None) -> list[dict[str, Any]]:
    """The points of the curves up to a checkpoint; none where there is no such file, or it is damaged."""
    if step is None:
        return []
    try:
        return [json.loads(line) for line in output.read(f"{folder_of(step)}/{HISTORY}").splitlines()]
    except (FileNotFoundError, ValueError):  # the workers take an older checkpoint, and say so
        return []
