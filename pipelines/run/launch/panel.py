"""The log of a job where it is shown: as it is, or in a notebook in places that change while the job runs.

In a notebook a job tells its progress as JSON (``told_here``): of it there is one line with a bar, the newest, and of a
training its curves as far as they are. Everything else that the job says stands below, as it would in a terminal.
"""

from __future__ import annotations

import html
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Protocol

from pipelines.run.display import duration
from pipelines.run.progress import State
from pipelines.run.progress import describe as describe_run
from pipelines.run.trainings.curves import Curves, draw
from pipelines.run.trainings.training_progress import TrainingState
from pipelines.run.trainings.training_progress import describe as describe_training

REFRESH_SECONDS = 0.25
CURVES_SECONDS = 10.0
"""Between two pictures of the curves: one takes a core for half a second."""
CURVES_WIDTH = 720
RAYS_OWN = re.compile(r"\S+ \S+\tINFO job_manager\.py|Running entrypoint for job ")
"""What Ray puts at the beginning of a job's log."""
Publish = Callable[[str, Mapping[str, Any], Mapping[str, Any]], None]
"""Shows what a place holds, in the place of what it held: its name, data by type, metadata."""


class Screen(Protocol):
    """Where a log is shown."""

    def take(self, text: str) -> None:
        """More of the log. Any thread may call it."""

    def refresh(self) -> None:
        """Show what came. Called by the thread that waits, a few times a second."""

    def end(self, word: str) -> None:
        """The job has ended so."""


class Plain:
    """The log as it is, on stdout."""

    def take(self, text: str) -> None:
        """Show it at once."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def refresh(self) -> None:
        """Nothing is left to show."""

    def end(self, word: str) -> None:
        """The job said it."""


class Panel:
    """A job in a notebook, whose name is the title of its curves. ``clock`` gives seconds."""

    def __init__(self, title: str, publish: Publish, clock: Callable[[], float] = time.monotonic) -> None:
        self._title, self._publish, self._clock = title, publish, clock
        self._began = self._drawn_at = clock()
        self._lock, self._text = threading.Lock(), ""
        self._state: State | TrainingState | None = None
        self._rows: list[Mapping[str, float]] = []
        self._evaluations: list[Mapping[str, float]] = []
        self._shown, self._num_drawn = "", 0

    def take(self, text: str) -> None:
        """See ``Screen``."""
        with self._lock:
            self._text += text

    def refresh(self) -> None:
        """See ``Screen``."""
        with self._lock:
            whole, newline, self._text = self._text.rpartition("\n")
        said = [line for line in map(self._read, (whole + newline).splitlines()) if line is not None]
        if said:
            print(*said, sep="\n", flush=True)
        self._show_line(self._words(), self._share)
        if self._clock() - self._drawn_at >= CURVES_SECONDS:
            self._show_curves()

    def end(self, word: str) -> None:
        """See ``Screen``."""
        if self._text:
            self.take("\n")
        self.refresh()
        facts = self._words().partition("  ")[2] if self._share else ""
        words = f"{word} in {duration(self._clock() - self._began)}  {facts}".rstrip()
        self._show_line(words, 1.0 if word == "succeeded" else self._share or 0.0)
        self._show_curves()

    def _read(self, line: str) -> str | None:
        """Take in what a line tells of progress; what of it is to be said, if anything."""
        told = _told(line)
        if "phase" in told:
            known = {field.name for field in fields(State)}
            self._state = State(**{name: value for name, value in told.items() if name in known})
        elif "step" in told:
            if not self._rows:  # the curves' place, before whatever is said from here on
                self._publish("curves", {"text/plain": ""}, {})
            self._rows.append(told)
            self._state = TrainingState(phase="train", row=told, max_steps=0, waiting="")
        else:
            self._evaluations += [told["evaluation"]] if "evaluation" in told else []
            said = str(told.get("say", line))
            return None if RAYS_OWN.match(said) else said
        return None

    def _words(self) -> str:
        """How far it is, in a line; while there is nothing to count, for how long it goes on."""
        state = self._state
        words = "" if state is None else describe_run(state) if isinstance(state, State) else describe_training(state)
        if "  " in words:
            return words
        return f"{words or 'starting'}  {duration(self._clock() - self._began)}"

    @property
    def _share(self) -> float | None:
        """Of the job that is done, from 0 to 1; None while there is no telling."""
        if isinstance(self._state, TrainingState):
            return self._state.share
        if self._state is None or not self._state.total_documents:
            return None
        return self._state.documents / self._state.total_documents

    def _show_line(self, words: str, share: float | None) -> None:
        if words == self._shown:
            return
        self._shown = words
        phase, _, facts = words.partition("  ")
        value = "" if share is None else f'value="{share:.4f}" '
        bar = f'<progress {value}max="1" style="width: 16em"></progress>'
        line = f"<div><b>{html.escape(phase)}</b> {bar} {html.escape(facts)}</div>"
        self._publish("progress", {"text/plain": words, "text/html": line}, {})

    def _show_curves(self) -> None:
        self._drawn_at = self._clock()
        seen = len(self._rows) + len(self._evaluations)
        if len(self._rows) < 2 or seen == self._num_drawn:
            return
        self._num_drawn = seen
        data = {
            "image/png": draw(Curves(self._rows, self._evaluations, title=self._title)),
            "text/plain": f"curves of {len(self._rows)} rows",
        }
        self._publish("curves", data, {"image/png": {"width": CURVES_WIDTH}})


def _told(line: str) -> dict[str, Any]:
    """What a line of JSON tells of progress; {} of another."""
    if not line.startswith("{"):
        return {}
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if "seconds" in told else {}


def told_here() -> dict[str, str]:
    """How a job is to tell its progress that is launched from here, as a flag of it; {}: as it would anyway."""
    return {"progress": "json"} if _shell() else {}


def screen_here(job: str) -> Screen:
    """Where the log of a job is shown to whoever waits here."""
    shell = _shell()
    return Panel(job, _publisher(shell)) if shell else Plain()


def _shell() -> Any:
    """IPython's shell, where this process is the kernel of a notebook; else None."""
    ipython = sys.modules.get("IPython")  # who runs in a notebook has it
    shell = ipython.get_ipython() if ipython else None
    return shell if getattr(shell, "kernel", None) else None


def _publisher(shell: Any) -> Publish:
    """Outputs of the cell that runs, each with an id by which it is shown anew."""
    names: dict[str, str] = {}

    def publish(name: str, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        is_new = name not in names
        place = names.setdefault(name, f"manta-{name}-{time.time_ns()}")
        shell.display_pub.publish(
            data=_encoded(data), metadata=dict(metadata), transient={"display_id": place}, update=not is_new
        )

    return publish


def _encoded(data: Mapping[str, Any]) -> dict[str, str]:
    """Pictures in base64, as notebooks keep them."""
    from base64 import b64encode

    return {kind: b64encode(value).decode() if isinstance(value, bytes) else value for kind, value in data.items()}
