"""How a stage works on a slice: unfold it, work on the documents, fold what comes out, keep the header's accounts."""

from __future__ import annotations

import ctypes
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import SpecError, StoreError
from pipelines.schema import DeadLetter, SliceHeader, fold, is_folded, unfold
from pipelines.stages.attempts import Attempt, Attempts

log = logging.getLogger(__name__)

ROW = "_row"
"""Column that says which row of the shard a document, or a chunk of it, is. It does not reach the parts."""

PLAIN_ATTEMPTS = 2
"""Attempts at a slice before it is suspected of killing the processes that work on it."""

HOPELESS = 10
"""So many deaths at the first documents of a slice, or at none, are no document's fault."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a stage made of a table: the rows that go on, those that could not be processed, what was counted."""

    table: pa.Table
    failures: dict[int, str] = field(default_factory=dict)
    """Reason by row number, numbers as in the table's ROW column. No row of the table has such a number."""
    stats: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


Work = Callable[[pa.Table], Outcome]
"""What a stage does with documents, or chunks of them."""


def slicewise(
    batch: pa.Table,
    stage: str,
    work: Work,
    attempts: Attempts | None = None,
    stats: Mapping[str, float] = MappingProxyType({}),
) -> pa.Table:
    """Do ``work`` on a batch: a slice, or any table of documents.

    A slice comes back as a slice, its failures as dead letters in its header, and in it what ``stats`` counts already.
    With ``attempts`` a document that kills its process becomes a dead letter as well. A plain table comes back as a
    table of the rows that went well; there is no place for dead letters, so that a failure raises SpecError.
    """
    if not is_folded(batch):
        return _plain(batch, stage, work)
    documents, header = unfold(batch)
    if header.error:
        return batch
    begin = time.perf_counter()
    outcome = work(documents) if attempts is None else _guarded(documents, header, stage, work, attempts)
    letters = [DeadLetter(row=row, stage=stage, reason=reason) for row, reason in sorted(outcome.failures.items())]
    seconds = {f"{stage}_seconds": time.perf_counter() - begin, f"peak_bytes.{stage}": private_bytes()}
    give_back()
    return fold(outcome.table, header.add(letters, {**outcome.stats, **stats, **seconds}, outcome.facts))


def _guarded(documents: pa.Table, header: SliceHeader, stage: str, work: Work, attempts: Attempts) -> Outcome:
    """``work`` on a slice; where the processes that did it died, on one document after another.

    The first deaths are nobody's fault: nodes are lost, actors preempted. A document that was alone when its process
    died is left out from then on. So each attempt comes further than the one before, and one of them to the end.
    """
    with attempts.begin(stage, header) as attempt:
        if attempt.num_deaths < PLAIN_ATTEMPTS:
            return work(documents)
        log.warning("%d processes died at slice %s: its documents are done one by one", attempt.num_deaths, header.name)
        outcomes = list(_one_by_one(documents, stage, work, attempt))
    return _together(outcomes)


def _one_by_one(documents: pa.Table, stage: str, work: Work, attempt: Attempt) -> Iterator[Outcome]:
    alone, suspects = list(_each(documents)), attempt.suspects
    elsewhere = attempt.num_deaths - suspects.total()
    first = [row in suspects for row, _ in alone[:HOPELESS]]
    if elsewhere >= HOPELESS or (all(first) and len(first) == HOPELESS):
        raise StoreError(
            f"{stage} died {attempt.num_deaths} times at one slice, whichever document it worked on: what kills it is "
            "told by the logs of the workers and of the system (too little memory, a driver); mend it and run again"
        )
    nothing = work(documents.slice(0, 0))
    yield nothing  # it has the columns, also where no document is left
    for row, document in alone:
        if row in suspects:
            reason = f"the process that worked on it died, {elsewhere + suspects[row]} times"
            yield Outcome(table=nothing.table, failures={row: reason})
        else:
            attempt.note(row)
            yield work(document)


def _each(documents: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """Row number and table of each document; chunks of one follow each other, and stay together."""
    rows = documents[ROW].to_numpy()
    bounds = [*np.flatnonzero(np.diff(rows, prepend=-1)).tolist(), len(rows)]
    for first, stop in pairwise(bounds):
        yield int(rows[first]), documents.slice(first, stop - first)


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcomes of documents one after another as one."""
    stats, facts, failures = Counter[str](), dict[str, str](), dict[int, str]()
    for outcome in outcomes:
        stats.update(outcome.stats)
        facts |= outcome.facts
        failures |= outcome.failures
    return Outcome(table=pa.concat_tables(one.table for one in outcomes), failures=failures, stats=stats, facts=facts)


def _plain(batch: pa.Table, stage: str, work: Work) -> pa.Table:
    rows = pa.array(range(batch.num_rows), pa.int64())
    outcome = work(batch if ROW in batch.column_names else batch.append_column(ROW, rows))
    if outcome.failures:
        row, reason = min(outcome.failures.items())
        raise SpecError(
            f"{len(outcome.failures)} rows could not pass {stage}, the first is row {row} of the batch ({reason}): "
            "filter such rows out before, or run the job, which keeps them as dead letters"
        )
    return outcome.table if ROW in batch.column_names else outcome.table.drop_columns([ROW])


def without(table: pa.Table, rows: Sequence[int]) -> pa.Table:
    """The table without the rows of these numbers, all their chunks included."""
    if not rows:
        return table
    return table.filter(pc.invert(pc.is_in(table[ROW], pa.array(rows, pa.int64()))))


def private_bytes() -> float:
    """Memory that this process alone has (shared object store pages are not counted); 0 where the kernel can't say."""
    try:
        text = Path("/proc/self/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return 1024.0 * sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE))


def give_back() -> None:
    """Return freed memory to the system, where the C library can be asked to.

    glibc keeps it in pools by thread, each of them pinned by the little that lives on: without this an encoder that ran
    in batches of many shapes held gigabytes which nobody used.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
