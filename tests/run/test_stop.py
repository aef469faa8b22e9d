"""Stops at the moments where Python's own KeyboardInterrupt is lost or does damage, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from pipelines.run.stop import Brake, Terminated, does_harm, exit_code_of, unstoppable
from tests.sources import ROOT

SETTING = """
import logging, os, signal, sys, threading, time
from pipelines.run.stop import Brake, unstoppable

def press(number=signal.SIGINT):
    os.kill(os.getpid(), number)
    time.sleep(0.1)

class Slow:
    def __del__(self):
        press()
        print("gone", flush=True)

class Loud(logging.Handler):
    def emit(self, record):
        press()
        print("told", flush=True)

@unstoppable
def start():
    press()
    print("started", flush=True)

def log_elsewhere():
    thread = threading.Thread(target=logging.getLogger("x").error, args=("",), daemon=True)
    thread.start()
    thread.join(10)
    print("locked" if thread.is_alive() else "free", flush=True)

logging.getLogger("x").addHandler(logging.NullHandler())
loud = logging.getLogger("loud")
loud.addHandler(Loud())
"""
RUN = """
with Brake() as brake:
    try:
        {what}
        time.sleep(10)
        print("never stopped")
    except KeyboardInterrupt:
        {then}
        print("stopped by", brake.asked)
"""


def told(what: str, then: str = "pass", before: str = "") -> list[str]:
    """What a process prints that does this, and then that when it is stopped."""
    code = SETTING + before + RUN.format(what=what, then=then)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("what", "then", "lines"),
    [
        ("press()", "pass", ["stopped by 2"]),
        ("press(signal.SIGTERM)", "pass", ["stopped by 15"]),
        ("Slow()", "pass", ["gone", "stopped by 2"]),
        ("loud.error('')", "log_elsewhere()", ["told", "free", "stopped by 2"]),
        ("start()", "pass", ["started", "stopped by 2"]),
        ("press()", "press(); press(signal.SIGTERM); print('cleared up')", ["cleared up", "stopped by 2"]),
    ],
    ids=["at once", "by SIGTERM", "in __del__", "in logging", "where Ray starts", "again and again"],
)
def test_a_stop_comes_once_and_where_it_does_no_harm(what: str, then: str, lines: list[str]) -> None:
    assert told(what, then) == lines


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    before = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    assert told("press(); print('on'); press(signal.SIGTERM)", before=before) == ["on", "stopped by 15"]


def test_the_handlers_before_come_back() -> None:
    def now() -> list[object]:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
        return [*handlers, sys.unraisablehook]

    before = now()
    with Brake():
        assert now()[:2] != before[:2]
        assert now()[2:] == before[2:]  # an alarm may be somebody else's as long as it is not needed
    assert now() == before


def test_harm_is_seen_from_a_function_that_is_called_there() -> None:
    def inner() -> bool:
        return does_harm(sys._getframe())

    @unstoppable
    def outer() -> bool:
        return inner()

    assert (outer(), inner()) == (True, False)


def test_a_stop_knows_by_which_signal() -> None:
    with pytest.raises(KeyboardInterrupt) as interrupted, Brake():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(Terminated) as terminated, Brake():
        signal.raise_signal(signal.SIGTERM)
    assert [exit_code_of(found.value) for found in (interrupted, terminated)] == [130, 143]
