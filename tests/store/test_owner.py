from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from pipelines.store.owner import Owner, this_process


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def owner_of(pid: int) -> Owner:
    return replace(this_process(), pid=pid, started=psutil.Process(pid).create_time())


def test_a_process_is_the_same_each_time_it_looks_at_itself() -> None:
    assert this_process() == this_process()
    assert pickle.loads(pickle.dumps(this_process())) == this_process()
    assert this_process().is_alive_here() is True


def test_a_process_is_dead_once_killed_also_as_a_zombie(sleeper: subprocess.Popen[bytes]) -> None:
    owner = owner_of(sleeper.pid)
    assert owner.is_alive_here() is True
    sleeper.send_signal(signal.SIGKILL)
    while owner.is_alive_here() and psutil.Process(sleeper.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert owner.is_alive_here() is False
    sleeper.wait()
    assert owner.is_alive_here() is False


def test_a_stopped_process_is_alive(sleeper: subprocess.Popen[bytes]) -> None:
    owner = owner_of(sleeper.pid)
    sleeper.send_signal(signal.SIGSTOP)
    assert owner.is_alive_here() is True


def test_a_number_that_another_process_has_now_is_not_the_owner() -> None:
    assert replace(this_process(), started=this_process().started - 3600).is_alive_here() is False


@pytest.mark.parametrize("place", [{"host": "elsewhere"}, {"boot": "before"}, {"pid_namespace": "pid:[1]"}])
def test_a_process_elsewhere_cannot_be_told(place: dict[str, str]) -> None:
    assert replace(this_process(), **place).is_alive_here() is None
    assert replace(this_process(), pid=2**22, **place).is_alive_here() is None
