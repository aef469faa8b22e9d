"""The metrics of a run over a corpus, from the receipts of its slices."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pipelines.run import metrics
from pipelines.run.recorder import Recorder
from pipelines.run.tally import Tally
from pipelines.schema import SliceHeader


class SliceMetrics:
    """Told of every slice after it is in the tally of the run."""

    def __init__(self, job: str, run: str) -> None:
        self._recorder = Recorder(job_name=job, run=run)

    def note(self, header: SliceHeader, receipt: Mapping[str, Any], tally: Tally) -> None:
        """A slice came back, done or broken; ``tally`` is that of all of them up to here."""
        record, stats = self._recorder, header.stats
        record.set(metrics.PROGRESS, time.time())
        if header.error:
            return
        record.add(metrics.SLICES)
        record.add(metrics.DOCUMENTS, header.num_documents)
        record.add(metrics.ROWS, receipt["num_rows"])
        record.add(metrics.WRITTEN, receipt["part_bytes"])
        record.add(metrics.TOKENS, stats.get("num_tokens", 0))
        record.add(metrics.DEAD_LETTERS, len(header.dead_letters))
        record.add(metrics.COMPUTED, computed := stats.get("encode_computed_tokens", 0))
        record.add(metrics.PADDING, computed - stats.get("encode_tokens", 0))
        record.add(metrics.BUSY, busy_seconds(stats))
        record.add(metrics.IDLE, stats.get("encode_wait_seconds", 0))
        self._shares(tally.stats)

    def set_aside(self, num_shards: int) -> None:
        """So many shards could not be used, or not to their end."""
        self._recorder.add(metrics.SET_ASIDE, num_shards)

    def close(self) -> None:
        """The run is over."""
        self._recorder.close()

    def _shares(self, stats: Mapping[str, float]) -> None:
        """Of the run so far, where anything was encoded."""
        computed, busy = stats.get("encode_computed_tokens", 0), busy_seconds(stats)
        if computed:
            self._recorder.set(metrics.PADDING_RATIO, 1 - stats.get("encode_tokens", 0) / computed)
        if busy:
            self._recorder.set(metrics.BUSY_RATIO, busy / (busy + stats.get("encode_wait_seconds", 0)))


def busy_seconds(stats: Mapping[str, float]) -> float:
    """Time in which encoders did anything, by a slice's stats or sums of them."""
    return stats.get("encode_compute_seconds", 0) + stats.get("encode_convert_seconds", 0)
