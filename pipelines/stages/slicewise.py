"""How a stage works on a slice: unfold it, work on the documents, fold what comes out, keep the header's accounts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import SpecError
from pipelines.schema import DeadLetter, fold, is_folded, unfold

ROW = "_row"
"""Column that says which row of the shard a document, or a chunk of it, is. It does not reach the parts."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a stage made of a table: the rows that go on, those that could not be processed, what was counted."""

    table: pa.Table
    failures: dict[int, str] = field(default_factory=dict)
    """Reason by row number, numbers as in the table's ROW column. No row of the table has such a number."""
    stats: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


def slicewise(batch: pa.Table, stage: str, work: Callable[[pa.Table], Outcome]) -> pa.Table:
    """Do ``work`` on a batch: a slice, or any table of documents.

    A slice comes back as a slice, its failures as dead letters in its header. A plain table comes back as a table of
    the rows that went well; there is no place for dead letters, so that a failure raises SpecError.
    """
    if not is_folded(batch):
        return _plain(batch, stage, work)
    documents, header = unfold(batch)
    if header.error:
        return batch
    begin = time.perf_counter()
    outcome = work(documents)
    letters = [DeadLetter(row=row, stage=stage, reason=reason) for row, reason in sorted(outcome.failures.items())]
    seconds = {f"{stage}_seconds": time.perf_counter() - begin, f"peak_bytes.{stage}": private_bytes()}
    return fold(outcome.table, header.add(letters, {**outcome.stats, **seconds}, outcome.facts))


def _plain(batch: pa.Table, stage: str, work: Callable[[pa.Table], Outcome]) -> pa.Table:
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
