"""The line from a worker to the desk of its training: what happens goes there, what is asked comes from there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import ray
from ray.exceptions import RayError

from pipelines.train.events import Checkpointed, Evaluated, Event, Stepped, Warned

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0


def no_notice() -> bool:
    """No node is about to be taken away."""
    return False


def notice_from_ray() -> bool:
    """Whether Ray has told this worker that a node of the training will be taken away.

    The public ``ray.train.get_preemption_info`` is a barrier, so that all workers would have to ask at the same step,
    and wait for each other; each is told by itself, and the loop brings wishes together anyway.
    """
    from ray.train.v2._internal.execution.context import get_train_context

    return get_train_context().preemption_context.preemption_info is not None


class Line:
    """One worker's line. Only the first worker talks to the desk; each looks for itself whether its node has notice.

    A context: as long as it is open, what is asked is looked for every ``poll_seconds``.
    """

    def __init__(
        self,
        desk: Any,
        *,
        is_first: bool,
        has_notice: Callable[[], bool] = no_notice,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._desk, self._is_first, self._has_notice = desk, is_first, has_notice
        self._poll_seconds = poll_seconds
        self._stop, self._asked, self._told_asked = False, 0, 0
        self._told_notice = False
        self._sent: Any = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="line", daemon=True)

    def observe(self, event: Event) -> None:
        """An event of the loop goes to the desk."""
        self.send(told(event))

    def send(self, event: dict[str, Any]) -> None:
        """Put an event on the desk; of one that the desk is slow to take, wait before the next is sent."""
        if self._sent is not None:
            ray.get(self._sent)
        self._sent = self._desk.tell.remote([event])

    def should_keep(self) -> bool:
        """Whether a checkpoint was asked for, or a node has notice, and this was not told yet."""
        noticed, asked = self._has_notice(), self._asked
        wanted = asked > self._told_asked or (noticed and not self._told_notice)
        self._told_asked, self._told_notice = asked, noticed
        return wanted

    def should_stop(self) -> bool:
        """Whether the training is to end."""
        return self._stop

    def _listen(self) -> None:
        while not self._closed.wait(self._poll_seconds):
            try:
                self._stop, self._asked = ray.get(self._desk.asked.remote())
            except RayError as error:  # the driver is gone, and this worker will be ended
                log.info("the desk does not answer: %s", error)
                return

    def __enter__(self) -> Line:
        if self._is_first:
            self._stop, self._asked = ray.get(self._desk.asked.remote())
            self._told_asked = self._asked  # it was asked of workers before these, which begin at a checkpoint
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        if self._sent is not None and error is None:
            ray.get(self._sent)


def told(event: Event) -> dict[str, Any]:
    """An event of the loop as the desk has it: "event" is its kind, the rest its facts."""
    if isinstance(event, Stepped | Evaluated):
        return {"event": "stepped" if isinstance(event, Stepped) else "evaluated", **event.row()}
    kinds = {Checkpointed: "checkpointed", Warned: "warned"}
    return {"event": kinds[type(event)], **vars(event)}
