from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.store.location import Location, locate
from pipelines.train.trace import STEPS_A_FILE, Seen, Trace, read_trace


@pytest.fixture
def output(tmp_path: Path) -> Location:
    return locate(str(tmp_path))


def row(number: int) -> Seen:
    return (0, "parts/a/0-10.parquet", number)


def test_a_step_is_what_all_workers_of_an_attempt_saw(output: Location) -> None:
    for rank in (0, 1):
        trace = Trace(output, "run-000", rank)
        trace.note(0, [row(rank)])
        trace.note(1, [row(2 + rank), (1, "parts/b/0-10.parquet", rank)])
    assert read_trace(output) == {
        0: [row(0), row(1)],
        1: [row(2), row(3), (1, "parts/b/0-10.parquet", 0), (1, "parts/b/0-10.parquet", 1)],
    }


def test_the_last_attempt_at_a_step_counts(output: Location) -> None:
    first, second = Trace(output, "run-000", 0), Trace(output, "run-001", 0)
    for step in range(4):
        first.note(step, [row(step)])
    for step in (2, 3, 4):
        second.note(step, [row(10 + step)])
    assert read_trace(output) == {0: [row(0)], 1: [row(1)], 2: [row(12)], 3: [row(13)], 4: [row(14)]}


def test_a_file_ends_after_some_steps_and_none_is_lost(output: Location) -> None:
    trace = Trace(output, "run-000", 0)
    for step in range(STEPS_A_FILE + 3):
        trace.note(step, [row(step)])
    keys = [entry.key for entry in output.list("_manta/trace/")]
    assert sorted(keys) == [f"_manta/trace/run-000/{first:09d}-0.jsonl" for first in (0, STEPS_A_FILE)]
    assert read_trace(output) == {step: [row(step)] for step in range(STEPS_A_FILE + 3)}
