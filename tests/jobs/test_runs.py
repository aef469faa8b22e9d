"""The command that lists runs; what it removes is tested with ``pipelines.run.upkeep.retention``."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import entry
from jobs.runs import runs

NO_OUTPUT = "{folder} holds no committed output, so it is unknown which parts are of use: run a job first"
NO_TERMINAL = (
    "there is no terminal to ask: Remove the rows of the ids in x from {folder} for good? Add --yes where that is what "
    "you want"
)


@pytest.mark.parametrize(
    ("flags", "refusal"),
    [
        ([], "OUTPUT is missing: see python -m jobs.runs --help"),
        (["{folder}/none"], "{folder}/none: there is nothing there: check the path"),
        (["{folder}"], "{folder} holds no runs: name the --output of a job that has ended"),
        (["{folder}", "--vacuum", "--forget", "x"], "--vacuum and --forget are given: do one after the other"),
        (["{folder}", "--vacuum", "--yes"], NO_OUTPUT),
        (["{folder}", "--forget", "x"], NO_TERMINAL),
    ],
)
def test_a_wrong_request_is_refused(
    tmp_path: Path, flags: list[str], refusal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.run(runs, [flag.format(folder=tmp_path) for flag in flags]) == 2
    assert capsys.readouterr().err == f"SpecError: {refusal.format(folder=tmp_path)}\n"
