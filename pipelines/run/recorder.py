"""Records metrics by Ray, on the driver, where it has joined one. It costs microseconds, and never fails a run."""

from __future__ import annotations

import logging
import sys
import threading
from functools import cache
from typing import Any

from pipelines.run.metrics import Metric

log = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
"""A gauge that was not set for two of Ray's export intervals (10 s each, 1 s at least) leaves its endpoint."""


class Recorder:
    """Records metrics under these tags: ``Recorder(job_name="embed", run=run_id)``; ``close`` it with the run.

    Gauges stay as they are until then. Without Ray it does nothing. Where recording fails it says so once in the log,
    and does nothing from then on.
    """

    def __init__(self, **tags: str) -> None:
        self._tags = tags
        self._works = True
        self._gauges: dict[Metric, float] = {}
        self._closed = threading.Event()
        self._pulse: threading.Thread | None = None

    def add(self, metric: Metric, value: float = 1) -> None:
        """A counter grows by so much; by nothing where that is 0 or less, or no number."""
        if value > 0 and _has_ray():
            self._record(metric, value)

    def set(self, metric: Metric, value: float) -> None:
        """A gauge is so much from now on."""
        if not _has_ray():
            return
        self._gauges[metric] = value
        self._record(metric, value)
        if self._pulse is None:
            self._pulse = threading.Thread(target=self._refresh, name="metrics", daemon=True)
            self._pulse.start()

    def close(self) -> None:
        """From here on gauges are left to go."""
        self._closed.set()
        if self._pulse is not None:
            self._pulse.join()

    def _refresh(self) -> None:
        while not self._closed.wait(REFRESH_SECONDS):
            for metric, value in dict(self._gauges).items():
                self._record(metric, value)

    def _record(self, metric: Metric, value: float) -> None:
        if not self._works:
            return
        try:
            instrument = _instrument(metric)
            record = instrument.inc if metric.kind == "counter" else instrument.set
            record(float(value), tags=self._tags)
        except Exception as error:
            self._works = False
            log.warning("metrics are recorded no more: %s at %s", type(error).__name__, metric.name)


def _has_ray() -> bool:
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


@cache
def _instrument(metric: Metric) -> Any:
    """What records it in this process: one a metric, as Ray has it."""
    from ray.util.metrics import Counter, Gauge

    kind = Counter if metric.kind == "counter" else Gauge
    return kind(metric.name, description=metric.told, tag_keys=metric.tags)
