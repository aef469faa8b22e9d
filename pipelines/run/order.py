"""What a run is asked for beside its spec: the corpus, the output, and how to behave."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from pipelines.errors import SpecError
from pipelines.run.period import Period
from pipelines.spec import Slicing, Storage, refuse

Ordered = TypeVar("Ordered")
Removed = Literal["keep", "drop"]
Shown = Literal["auto", "live", "log", "json", "none"]


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Prices and speed of an actor, by which a plan reckons time and cost. They decide nothing else."""

    gpu: float = 0.0
    """Price of an hour of an encode actor (gpu pool), in whatever currency; 0: not told."""
    cpu: float = 0.0
    """Price of an hour of a tokenize actor (cpu pool), or of a maker of instances; 0: not told."""
    tokens_per_second: float = 0.0
    """Tokens a second of an encode actor, or of a maker of instances (those of its sentences); 0: as the output's last
    run had it, else as --plan measures it."""

    def __post_init__(self) -> None:
        for name in ("gpu", "cpu", "tokens_per_second"):
            if not 0 <= getattr(self, name) < float("inf"):
                refuse(self, name, "write a number of at least 0")

    @property
    def are_told(self) -> bool:
        """Whether there is a price."""
        return bool(self.gpu or self.cpu)

    def cost(self, seconds: float, *, encoders: int, tokenizers: int) -> dict[str, float]:
        """By pool, of so many actors for so long."""
        hours = seconds / 3600
        return {"gpu": encoders * hours * self.gpu, "cpu": tokenizers * hours * self.cpu}


@dataclass(frozen=True, kw_only=True)
class Order:
    """The request of a run over a corpus. Nothing in it decides a vector."""

    job: str
    documents: str | list[str]
    """File, folder, glob or list of them, local or s3://."""
    source: str = "--documents"
    """The flag that they were named by."""
    output: str
    """Folder, local or s3://; {fingerprint} in it is replaced."""
    slicing: Slicing = Slicing()
    storage: Storage = Storage()
    limit: int = 0
    """The corpus is taken to end after so many documents, for a trial; 0: all."""
    since: str = ""
    """First day of the folders by day that are looked at, such as 2026-11-23; "": all."""
    until: str = ""
    """The day after the last of them."""
    removed: Removed = "keep"
    """What becomes of the parts of a shard that vanished."""
    max_dead_letters: float = 0.05
    """Largest share of documents that may be dead letters."""
    retry_dead_letters: bool = False
    """Make the slices again that hold dead letters, and try the shards again that were set aside."""
    progress: Shown = "auto"
    """How progress is shown: a live display, lines of a log, JSON lines; auto: live in a terminal, log elsewhere."""
    rates: Rates = Rates()
    """What actors cost, and how fast they are: for the plan alone."""

    def __post_init__(self) -> None:
        if not self.documents:
            raise SpecError(f"no corpus is named: give {self.source} a file, a folder, a glob or a list of them")
        if not self.output:
            raise SpecError("no output is named: give --output a folder, local or s3://")
        if self.limit < 0:
            raise SpecError(f"limit is {self.limit}: write the most documents to do, or 0 for all")
        if not 0 <= self.max_dead_letters <= 1:
            raise SpecError(f"max_dead_letters is {self.max_dead_letters}: write a share from 0 to 1")
        _ = self.period

    @property
    def period(self) -> Period:
        """The days that are looked at. SpecError where there are none such."""
        return Period(since=self.since, until=self.until)


def order_of(kind: type[Ordered], job: str, arguments: Mapping[str, Any]) -> Ordered:
    """A job's order from the arguments that the job takes. SpecError where they are wrong."""
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in ({"job": job} | dict(arguments)).items() if name in known})


def new_run_id(now: float | None = None) -> str:
    """Name of a run: when it began (UTC), and eight digits by chance. Names sort by time."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)) + "-" + secrets.token_hex(4)
