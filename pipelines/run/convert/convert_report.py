"""The report of a conversion: what came of it. Shown at the end, kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from pipelines.run.display import compact, duration, size
from pipelines.run.grid import grid
from pipelines.run.report import installed_versions
from pipelines.run.tables import listing


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a run, counted."""

    there: int
    new: int = 0
    """Not seen before, or in another version, or beside one of those."""
    changed: int = 0
    vanished: int = 0
    """Gone, but their rows are in the output."""
    begun_again: int = 0
    """Of a run that did not come to its end."""


@dataclass(frozen=True, kw_only=True)
class ConvertReport:
    """One run of a conversion."""

    run: str
    job: str
    output: str
    began_at: float
    """Seconds since 1970."""
    exit_code: int
    files: Files
    groups: int
    """Groups of files that were done in this run."""
    documents: int
    """Rows and dead letters."""
    rows: int
    shards: int
    shard_bytes: int
    """Of their files."""
    peak_bytes: float
    """Private memory of the largest worker."""
    ids: str
    """Where ids are from: column, line or hash."""
    schema: Mapping[str, str]
    """Type by column of the output."""
    dead_letters: Mapping[str, int]
    """Number by reason."""
    set_aside: Mapping[str, str]
    """Why a file was not read to its end, by its name."""
    left_out: Mapping[str, int]
    """Records that had a value in a column that the output has not, by column."""
    phase_seconds: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Wall time of the run."""
        return sum(self.phase_seconds.values())

    def to_json(self) -> str:
        """All fields as indented JSON."""
        started = datetime.fromtimestamp(self.began_at, UTC).isoformat(timespec="seconds")
        told = {"started": started, "seconds": self.seconds, "versions": installed_versions()}
        return json.dumps(asdict(self) | told, indent=2)

    def render(self) -> RenderableType:
        """The report as compact text of rich; Console.print shows it, in a log too."""
        parts: list[RenderableType] = [Text(headline(self), style="bold"), Text(f"output {self.output}")]
        if self.groups:
            parts += [Text(), grid(counts(self)), Text(columns(self))]
        lists = {
            "dead letters (_manta/dead_letters)": {why: f"{number:,}" for why, number in self.dead_letters.items()},
            "files that were not read to their end": self.set_aside,
            "columns that no file began with, left out": {
                name: f"{number:,} documents; --spec.types '{json.dumps({name: 'string'})}' takes it, in a new output"
                for name, number in self.left_out.items()
            },
        }
        parts += [table for title, lines in lists.items() if lines for table in (Text(), listing(title, lines))]
        return Group(*parts, *map(Text, remarks(self)))


def headline(report: ConvertReport) -> str:
    """What came of it, in one line."""
    if not report.groups:
        return f"{report.job}: nothing to do, {report.files.there:,} files were converted before"
    return (
        f"{report.job} {report.run}: {report.rows:,} documents in {report.shards:,} "
        f"shard{'' if report.shards == 1 else 's'}, {duration(report.seconds)}"
    )


def counts(report: ConvertReport) -> dict[str, str]:
    """Names and numbers."""
    spent = report.phase_seconds.get("convert", 0.0)
    return {
        "files": f"{report.files.there:,}",
        "documents": f"{report.documents:,}",
        "dead letters": f"{report.documents - report.rows:,}",
        "written": size(report.shard_bytes),
        "documents/s": compact(report.documents / spent) if spent else "",
        "peak memory": size(report.peak_bytes),
    }


def columns(report: ConvertReport) -> str:
    """The output's columns in one line."""
    made = {"line": " (made: FILE:LINE)", "hash": " (made: hash of the text)"}
    told = [f"{name} {kind}{made.get(report.ids, '') if name == 'id' else ''}" for name, kind in report.schema.items()]
    return f"columns  {', '.join(told)}"


def remarks(report: ConvertReport) -> list[str]:
    """What else one should know, a line each."""
    files = report.files
    lines = (
        (files.changed, "changed: they, and those read with them, were done again, and their old shards are gone"),
        (files.begun_again, "begun again, which an earlier run had not done"),
        (files.vanished, "vanished: their documents stay"),
    )
    return [f"of the files {number:,} {what}" for number, what in lines if number]
