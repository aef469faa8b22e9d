"""A run in a terminal of its own, on a local Ray: what Ctrl-C and SIGTERM leave of it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.faults.nodes import descendants, end, environment_in
from tests.faults.runs import (
    ENDLESS_SLICES,
    PATIENCE_SECONDS,
    Corpus,
    Job,
    check_same,
    check_whole,
    flags_for,
    num_parts,
    until,
    without_ray,
)
from tests.sources import ROOT

CODES = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]|\r")
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
LAST_WORDS = "what is done stays done; run the same command again to go on"


@dataclass
class Terminal:
    """A terminal with a run in its foreground, and what was shown on it so far."""

    master: int
    slave: int
    run: subprocess.Popen[str]
    shown: bytearray = field(default_factory=bytearray)

    def read(self) -> None:
        """Take in what is shown until the terminal is closed."""
        with suppress(OSError):
            while data := os.read(self.master, 65536):
                self.shown += data

    @property
    def text(self) -> str:
        """What was shown, with the codes that steer a terminal."""
        return self.shown.decode(errors="replace")

    @property
    def last_line(self) -> str:
        """The last line that was shown, and is not just a change of colours."""
        return CODES.sub("", self.text).rstrip().rsplit("\n", 1)[-1]


@contextmanager
def terminal(command: list[str], environment: dict[str, str]) -> Iterator[Terminal]:
    """A new terminal that the command runs in. A key typed into it reaches the whole foreground, as for a person."""
    master, slave = pty.openpty()

    def before_it_runs() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background it is ignored

    run = subprocess.Popen(
        command, cwd=ROOT, env=environment | {"TERM": "xterm-256color"}, stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True, preexec_fn=before_it_runs, text=True,
    )  # fmt: skip
    view = Terminal(master, slave, run)
    reader = threading.Thread(target=view.read, daemon=True)
    reader.start()
    try:
        yield view
    finally:
        end(run)
        os.close(slave)
        reader.join(10)
        os.close(master)


@pytest.fixture
def documents(corpus: Corpus, endless: Path, tmp_path: Path) -> Path:
    """The corpus with the endless shard behind it."""
    folder = Path(shutil.copytree(corpus.folder, tmp_path / "corpus"))
    shutil.copy2(endless, folder)
    return folder


@pytest.fixture
def local(tiny_model: Path, documents: Path) -> Iterator[Job]:
    """The job, each run on a Ray of its own."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    environment = environment_in(folder)
    del environment["RAY_AUTH_MODE"]  # as on anybody's machine
    flags = ("--documents", str(documents), "--progress", "auto", "--ray.address", "local", "--ray.num_cpus", "4")
    yield Job(flags=(*flags_for(tiny_model), *flags), environment=environment)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(600)
def test_a_run_that_is_stopped_ends_cleanly_and_goes_on_when_it_is_run_again(
    local: Job, tiny_model: Path, documents: Path, corpus: Corpus, tmp_path: Path
) -> None:
    """Stopped while Ray starts, and twice in midstream. Then the endless shard is taken away, to have the rest done."""
    output = tmp_path / "vectors"
    command = local.command(output)
    with terminal(command, local.environment) as view:
        until(lambda: "raylet" in [process.name() for process in descendants(view.run.pid)], view.run)
        stop(view, output, lambda: os.write(view.master, b"\x03\x03"))
    assert view.run.returncode == 130
    assert view.last_line == f"interrupted: {LAST_WORDS}"
    with terminal(command, local.environment) as view:
        until(lambda: is_held(output), view.run)
        second = local.run(output)
        assert (second.code, second.err.count("\n")) == (4, 1), second.err
        assert f"kill {view.run.pid}" in second.err
        until(lambda: num_parts(output) > 5, view.run)
        stop(view, output, lambda: os.write(view.master, b"\x03"))
    assert view.run.returncode == 130
    assert view.last_line == f"interrupted: {LAST_WORDS}"
    done = num_parts(output)
    with terminal(command, local.environment) as view:
        until(lambda: num_parts(output) > done + 5, view.run)
        stop(view, output, lambda: view.run.send_signal(signal.SIGTERM))
    assert view.run.returncode == 143
    assert view.last_line == f"terminated: {LAST_WORDS}"
    assert num_parts(output) < ENDLESS_SLICES
    (documents / "z-endless.parquet").unlink()
    for place in (output, tmp_path / "undisturbed"):
        assert without_ray(tiny_model, documents, place, removed="drop") == 0
    check_whole(output, corpus.ids)
    check_same(output, tmp_path / "undisturbed")


def is_held(output: Path) -> bool:
    """Whether a run holds the lease."""
    return not json.loads((output / "_manta/lease.json").read_text())["released"]


def stop(view: Terminal, output: Path, ask: Callable[[], object]) -> None:
    """Ask a run to stop; see that nothing of it is left: no process, no lease, no trace on the terminal."""
    modes = termios.tcgetattr(view.slave)
    rays = descendants(view.run.pid)
    assert rays != []
    ask()
    view.run.wait(PATIENCE_SECONDS)
    assert psutil.wait_procs(rays, timeout=60)[1] == []
    assert not is_held(output)
    assert termios.tcgetattr(view.slave) == modes
    assert HIDE in view.text
    assert view.text.rfind(SHOW) > view.text.rfind(HIDE)
    assert "Traceback" not in view.text
