"""The metrics of a training, from the events that it tells its driver."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pipelines.run import metrics
from pipelines.run.metrics import Metric
from pipelines.run.recorder import Recorder

OF_A_ROW = {
    "step": metrics.STEP,
    "step_seconds": metrics.STEP_SECONDS,
    "tokens_per_second": metrics.TRAIN_RATE,
    "data_wait": metrics.DATA_WAIT,
    "loss": metrics.LOSS,
    "workers": metrics.WORKERS,
}
"""Gauges by the names of ``pipelines.train.events.Stepped.row``."""
OF_AN_EVALUATION = {"loss": metrics.EVALUATION_LOSS, "merit": metrics.MERIT}


class TrainingMetrics:
    """An observer of a training's events (``pipelines.run.trainings.training.TrainingRun.observers``)."""

    def __init__(self, job: str, run: str) -> None:
        self._recorder = Recorder(job_name=job, run=run)
        self._has_begun = False

    def observe(self, event: Mapping[str, Any]) -> None:
        """An event of the workers, or of what befalls them."""
        kind = event["event"]
        if kind in ("began", "stepped"):
            self._recorder.set(metrics.PROGRESS, time.time())
        if kind == "began":
            self._began(event)
        elif kind == "stepped":
            self._stepped(event)
        elif kind == "evaluated":
            self._gauges(OF_AN_EVALUATION, event)

    def close(self) -> None:
        """The run is over."""
        self._recorder.close()

    def _began(self, event: Mapping[str, Any]) -> None:
        self._gauges({name: OF_A_ROW[name] for name in ("step", "workers")}, event)
        if self._has_begun:
            self._recorder.add(metrics.RESTARTS)
        self._has_begun = True

    def _stepped(self, event: Mapping[str, Any]) -> None:
        self._gauges(OF_A_ROW, event)
        steps = event.get("num_steps", 0)
        seconds = steps * event.get("step_seconds", 0.0)
        self._recorder.add(metrics.STEPS, steps)
        self._recorder.add(metrics.TRAIN_TOKENS, round(event.get("tokens_per_second", 0.0) * seconds))

    def _gauges(self, gauges: Mapping[str, Metric], event: Mapping[str, Any]) -> None:
        for name, metric in gauges.items():
            if name in event:
                self._recorder.set(metric, event[name])
