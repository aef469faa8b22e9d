"""TensorBoard event files of a training: one folder for its steps, one for its evaluations, so that charts overlay."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from pipelines.store.location import Location

Row = Mapping[str, float]
FOLDER = "tensorboard"
FLUSH_SECONDS = 10
KINDS = ("loss", "accuracy", "perplexity", "metric", "baseline")
"""Groups of charts, by the beginning of a number's name."""


def tag(name: str) -> str:
    """Where TensorBoard shows a number: "loss_mlm" is "mlm" in the group "loss", others are of "training"."""
    kind, _, rest = name.partition("_")
    return f"{kind}/{rest}" if kind in KINDS and rest else f"training/{name}"


class Board:
    """Writes events under ``output``/tensorboard. What a run before wrote of ``first_step`` and later is taken back.

    On a disk events appear within seconds of being added; elsewhere the files are put whole by ``publish``.
    """

    def __init__(self, output: Location, first_step: int = 0) -> None:
        self._place = output.join(FOLDER)
        self._own = None if output.is_local else tempfile.TemporaryDirectory(prefix="manta-tensorboard-")
        self._folder = Path(self._place.path if self._own is None else self._own.name)
        self._first_step = first_step
        self._writers: dict[str, Any] = {}

    def add(self, row: Row, *, held_out: bool = False) -> None:
        """A row of the log, or of an evaluation: its numbers at its step."""
        writer = self._writer("held_out" if held_out else "train")
        for name, value in row.items():
            if name != "step":
                writer.add_scalar(tag(name), value, int(row["step"]))

    def publish(self) -> None:
        """Bring the files to where the output is. StoreError where it can't be reached."""
        if self._own is not None:
            for path in sorted(self._folder.rglob("events.*")):
                self._place.put(path.relative_to(self._folder).as_posix(), path.read_bytes())

    def _writer(self, name: str) -> Any:
        if name not in self._writers:
            from tensorboardX import SummaryWriter

            about = {"purge_step": self._first_step or None, "filename_suffix": f".{self._first_step:09}"}
            self._writers[name] = SummaryWriter(str(self._folder / name), flush_secs=FLUSH_SECONDS, **about)
        return self._writers[name]

    def __enter__(self) -> Board:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Write what is left."""
        for writer in self._writers.values():
            writer.close()
        if self._own is not None:
            self.publish()
            self._own.cleanup()
