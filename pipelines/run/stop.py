"""Ctrl-C and SIGTERM: a run is stopped at a moment where that does no harm.

Python raises KeyboardInterrupt between any two lines. In the middle of ``ray.init`` that leaves a Ray half started, on
which the interpreter's own end crashes; in ``logging`` a lock that nobody gives back, so that the next thread waits for
ever; in a ``__del__`` it is lost. A stop that comes there waits until they are through.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar

AGAIN_SECONDS = 0.05
SIGNALS = (signal.SIGINT, signal.SIGTERM)
UNSTOPPABLE: set[CodeType] = set()

Function = TypeVar("Function", bound=Callable[..., Any])


def unstoppable(function: Function) -> Function:
    """A function that a stop waits for."""
    UNSTOPPABLE.add(function.__code__)
    return function


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def exit_code_of(stop: KeyboardInterrupt) -> int:
    """The exit code of a run that this stopped: 128 and the number of the signal."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


class Brake:
    """While it is in force, the first SIGINT or SIGTERM raises KeyboardInterrupt in the main thread; others do nothing.

    It is a ``Terminated`` of SIGTERM.

    Whoever was stopped is clearing up already. Signals that this process was told to ignore stay ignored, and in
    another thread than the main one nothing is changed.
    """

    def __init__(self) -> None:
        self.asked: int = signal.SIGINT
        """The signal that came."""
        self._came = False
        self._before: dict[int, Any] = {}
        self._complain = sys.unraisablehook

    def __enter__(self) -> Brake:
        if threading.current_thread() is threading.main_thread():
            taken = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._ask) for number in taken}
        return self

    def __exit__(self, *_: object) -> None:
        if signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._complain

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self._came:
            self._came, self.asked = True, number
            self._try(number, frame)

    def _try(self, _number: int, frame: FrameType | None) -> None:
        if does_harm(frame):
            self._before.setdefault(signal.SIGALRM, signal.signal(signal.SIGALRM, self._try))
            signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
            return
        sys.unraisablehook = lambda _: None  # what is half made complains when it goes
        raise Terminated if self.asked == signal.SIGTERM else KeyboardInterrupt


def does_harm(frame: FrameType | None) -> bool:
    """Whether an exception that is raised in this frame, or in one that it was called from, is lost or does damage."""
    while frame is not None:
        code = frame.f_code
        if code in UNSTOPPABLE or code.co_name == "__del__" or code.co_filename == logging.__file__:
            return True
        frame = frame.f_back
    return False
