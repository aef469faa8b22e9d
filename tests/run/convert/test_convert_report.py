"""What a report of a conversion says, and in how much room."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from rich.console import Console

from pipelines.run.convert.convert_report import ConvertReport, Files

REPORT = ConvertReport(
    run="r1",
    job="convert",
    output="/x/out",
    began_at=0.0,
    exit_code=3,
    files=Files(there=12, new=12, changed=1, vanished=2, begun_again=3),
    groups=2,
    documents=1010,
    rows=1000,
    shards=1,
    shard_bytes=2_000_000,
    peak_bytes=1e8,
    ids="line",
    schema={"id": "string", "text": "string"},
    dead_letters={"it is no UTF-8": 10},
    set_aside={"a.jsonl.gz": "a.jsonl.gz can't be read to its end"},
    left_out={"late": 4},
    phase_seconds={"plan": 1.0, "convert": 10.0},
)


def shown(report: ConvertReport) -> str:
    console = Console(width=100, file=io.StringIO())
    with console.capture() as captured:
        console.print(report.render())
    return captured.get()


def test_everything_is_told() -> None:
    told = shown(REPORT)
    for words in (
        "convert r1: 1,000 documents in 1 shard, 0:11",
        "output /x/out",
        "id string (made: FILE:LINE), text string",
        "it is no UTF-8",
        "can't be read to its end",
        """--spec.types '{"late": "string"}'""",
        "of the files 1 changed",
        "of the files 3 begun again",
        "of the files 2 vanished",
    ):
        assert words in told
    assert "101" in told  # documents a second


def test_nothing_to_do_is_two_lines() -> None:
    idle = replace(REPORT, groups=0, dead_letters={}, set_aside={}, left_out={}, files=Files(there=12))
    assert shown(idle).splitlines() == [
        "convert: nothing to do, 12 files were converted before",
        "output /x/out",
    ]


def test_json_has_it_all() -> None:
    told = json.loads(REPORT.to_json())
    assert told["seconds"] == 11
    assert told["started"] == "1970-01-01T00:00:00+00:00"
    assert told["files"]["begun_again"] == 3
    assert "pyarrow" in told["versions"]
