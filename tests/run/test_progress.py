from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from pipelines.run.progress import Progress, State, describe, draw

SCRIPT = """
import sys, time
from pipelines.run.progress import Progress

with Progress(total_documents=1000, total_slices=10, mode=sys.argv[1], interval=float(sys.argv[2])) as progress:
    progress.phase("encode")
    for _ in range(4):
        time.sleep(0.1)
        progress.update(documents=100, tokens=5000, slices=1, dead_letters=1)
    progress.say("a line that stays")
    if sys.argv[1] == "auto" and len(sys.argv) == 3:
        progress.end()
        print("the display is gone", file=sys.stderr, flush=True)
    print("a result", flush=True)
    if len(sys.argv) > 3:
        print("ready", file=sys.stderr, flush=True)
        time.sleep(60)
"""


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def logged(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_a_log_gets_its_first_line_soon_and_then_one_a_minute(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(total_documents=1000, total_slices=10, stream=stream, clock=clock)
    with progress:
        progress.phase("encode")
        for _ in range(240):
            clock.now += 0.5
            progress.update(documents=1, tokens=100)
        assert logged(stream) == [
            "encode  10 of 1,000 documents (1 %), 0 of 10 slices, 200 tokens/s, 0 dead letters, 8:15 left",
            "encode  130 of 1,000 documents (13 %), 0 of 10 slices, 200 tokens/s, 0 dead letters, 7:15 left",
        ]
        progress.update(slices=10, documents=760, dead_letters=1)
    assert len(logged(stream)) == 3
    assert logged(stream)[-1].startswith("encode  1,000 of 1,000 documents (100 %), 10 of 10 slices")
    assert "1 dead letter, 0:00 left" in logged(stream)[-1]


def test_the_rate_forgets_what_is_a_minute_old_and_what_came_before_the_phase(clock: Clock) -> None:
    progress = Progress(total_documents=100_000, stream=io.StringIO(), clock=clock)
    progress.phase("start")
    clock.now += 1000
    progress.phase("encode")
    for _ in range(100):
        clock.now += 1
        progress.update(documents=10, tokens=500)
    assert progress.state.tokens_per_second == 500
    for _ in range(100):
        clock.now += 1
        progress.update(documents=20, tokens=1000)
    assert progress.state.tokens_per_second == 1000
    assert progress.state.seconds_left == (100_000 - 3000) / 20


def test_waiting_is_told_with_its_time_and_ends_with_work(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(stream=stream, clock=clock, interval=30)
    progress.phase("encode")
    for _ in range(10):
        progress.waiting("a node with 1 GPU")
        clock.now += 5
    assert logged(stream) == [
        "encode  waiting for a node with 1 GPU, 0:00",
        "encode  waiting for a node with 1 GPU, 0:30",
    ]
    progress.update(documents=7, slices=1)
    assert progress.state.waiting == ""


def test_json_is_one_object_a_line(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(total_documents=20, mode="json", stream=stream, clock=clock, interval=1) as progress:
        progress.say("takeover in 12 s")
        clock.now += 2
        progress.update(documents=10, tokens=30, slices=1)
    said, first, last = (json.loads(line) for line in logged(stream))
    assert said == {"seconds": 0.0, "say": "takeover in 12 s"}
    assert (first["documents"], first["tokens_per_second"], first["seconds_left"], first["last"]) == (10, 15, 2, False)
    assert last["last"] is True


def test_json_tells_a_phase_at_once_and_then_every_two_seconds(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(mode="json", stream=stream, clock=clock) as progress:
        progress.phase("plan")
        progress.phase("encode")
        clock.now += 1.9
        progress.update(documents=1, slices=1)
        clock.now += 0.2
        progress.update(documents=1, slices=1)
        told = [json.loads(line) for line in logged(stream)]
    assert [(one["phase"], one["documents"]) for one in told] == [("plan", 0), ("encode", 0), ("encode", 2)]


def test_more_slices_than_were_reckoned_with_are_no_more_than_all(clock: Clock) -> None:
    progress = Progress(stream=io.StringIO(), clock=clock)
    progress.expect(documents=100, slices=2)
    assert (progress.state.slices, progress.state.total_slices) == (0, 2)
    progress.update(documents=90, slices=3)
    assert (progress.state.slices, progress.state.total_slices) == (3, 3)


def test_without_totals_nothing_is_made_up(clock: Clock) -> None:
    assert describe(State(phase="start")) == "start"
    assert describe(State(phase="commit", documents=1200)) == "commit  1,200 documents, 0 slices, 0 dead letters"
    assert describe(State(phase="convert", unit="shards", slices=2, documents=9)).startswith(
        "convert  9 documents, 2 shards"
    )


def test_the_display_fits_a_narrow_terminal() -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=True)
    state = State(phase="encode", documents=12_288, total_documents=23_880, slices=24, total_slices=47, seconds_left=48)
    with console.capture() as shown:
        console.print(draw(state))
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.get())
    assert all(len(line) <= 80 for line in plain.splitlines())
    assert "24 of 47" in plain


def test_pipes_get_plain_lines_and_results_stay_apart() -> None:
    command = [sys.executable, "-c", SCRIPT, "auto", "0.15"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "a result\n"
    assert "\x1b" not in run.stderr
    *_, stays, last, gone = run.stderr.splitlines()
    assert (stays, gone) == ("a line that stays", "the display is gone")
    assert last.startswith("encode  400 of 1,000 documents (40 %), 4 of 10 slices")


def in_terminal(*arguments: str, interrupt: bool = False) -> tuple[str, str, int]:
    """What the script shows in a terminal of its own, what it prints on a pipe, and its exit status."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "24"}
    command = [sys.executable, "-c", SCRIPT, *arguments]
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True)
    os.close(theirs)
    shown, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        if not select.select([ours], [], [], 0.5)[0]:
            continue
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        shown += piece
        if interrupt and b"ready" in shown:
            process.send_signal(signal.SIGINT)
            interrupt = False
    result, _ = process.communicate(timeout=30)
    os.close(ours)
    return shown.decode(), result, process.returncode


def test_a_terminal_gets_one_live_display() -> None:
    shown, result, status = in_terminal("auto", "60")
    assert (result, status) == ("a result\n", 0)
    assert "tokens/s" in shown
    assert "of 1,000 documents" in shown
    assert "a line that stays" in shown
    assert "\x1b[?25l" in shown  # the cursor is hidden,
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # and shown again at the end
    assert "\x1b[2K" in shown[shown.rindex("tokens/s") : shown.index("the display is gone")]  # wiped before results
    assert shown.rindex("\x1b[?25h") < shown.index("the display is gone")


def test_ctrl_c_leaves_the_terminal_clean() -> None:
    shown, _, status = in_terminal("auto", "60", "sleep", interrupt=True)
    assert status == -signal.SIGINT
    assert "KeyboardInterrupt" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    assert "\x1b[2K" in shown[shown.rindex("tokens/s") :]
