"""Ray's endpoint itself is read in tests/faults: here is what comes before."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from pipelines.run.metrics import DOCUMENTS, PROGRESS, RUNS, Metric
from pipelines.run.recorder import Recorder, _instrument
from tests.recorded import recorded


def test_counters_add_up_and_gauges_are_the_newest() -> None:
    with recorded() as told:
        recorder = Recorder(job_name="embed", run="r")
        for count in (2, 3, 0, -1, float("nan")):
            recorder.add(DOCUMENTS, count)
        recorder.set(PROGRESS, 5.0)
        recorder.set(PROGRESS, -4.0)
        recorder.close()
    assert told.values == {"manta_documents_total": 5, "manta_progress_timestamp_seconds": -4.0}
    assert told.tags == {(("job_name", "embed"), ("run", "r"))}


def test_without_ray_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(metric: Metric) -> None:
        raise AssertionError(metric.name)

    monkeypatch.setattr("pipelines.run.recorder._has_ray", lambda: False)
    monkeypatch.setattr("pipelines.run.recorder._instrument", never)
    recorder = Recorder(job_name="embed", run="r")
    recorder.add(DOCUMENTS, 1)
    recorder.set(PROGRESS, 1)
    recorder.close()


def test_gauges_stay_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.run.recorder.REFRESH_SECONDS", 0.01)
    with recorded() as told:
        recorder = Recorder(job_name="embed", run="r")
        recorder.add(DOCUMENTS, 3)
        recorder.set(PROGRESS, 5.0)
        told.values.clear()  # as Ray does after each export
        until = time.monotonic() + 60
        while not told.values and time.monotonic() < until:
            time.sleep(0.01)
        assert told.values == {"manta_progress_timestamp_seconds": 5.0}
        recorder.close()
        told.values.clear()
        time.sleep(0.1)
        assert told.values == {}


def test_what_fails_is_told_once_and_harms_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def inc(self, *_: Any, **__: Any) -> None:
            raise ValueError("a secret")

        set = inc

    with recorded():
        monkeypatch.setattr("pipelines.run.recorder._instrument", lambda metric: Broken())
        recorder = Recorder(job_name="embed", run="r")
        with caplog.at_level(logging.WARNING):
            recorder.add(DOCUMENTS, 1)
            recorder.set(PROGRESS, 1)
            recorder.add(DOCUMENTS, 1)
            recorder.close()
    assert caplog.messages == ["metrics are recorded no more: ValueError at manta_documents_total"]


def test_ray_takes_them_as_the_table_has_them() -> None:
    """Its instruments can be made without a Ray; one a metric."""
    for metric in (RUNS, PROGRESS):
        instrument = _instrument(metric)
        assert instrument is _instrument(metric)
        told = instrument.info
        assert (told["name"], told["description"], told["tag_keys"]) == (metric.name, metric.told, metric.tags)
        assert type(instrument).__name__.lower() == metric.kind
