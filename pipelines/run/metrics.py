"""The metrics that jobs export by Ray: names, kinds, units, tags. Ray puts ``ray_`` before each name.

Names are as Prometheus has them: base units, ``_total`` for counters, ``_ratio`` for shares from 0 to 1. Tags are few:
the job, which is one of seven words, and the run's id, so that a run's series are its own. (Not "job": Prometheus has
that for its own, and would rename ours.) No tag and no description ever holds a value of a user's: no path, column,
class or text.

The driver records all of them: there the receipts of slices and the events of trainings arrive. So counters are of
parts that are written. A counter stays at the endpoint of the driver's node until that node goes; a gauge goes some
seconds after its run. What is to be known for good stands in the run's report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PREFIX = "ray_"
"""What Ray puts before a name."""
OF_A_RUN = ("job_name", "run")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric as it is exported."""

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    """Of its values: a base unit, or what is counted; "1" for a share."""
    told: str
    """What it is, in one sentence: the metric's help."""
    tags: tuple[str, ...] = OF_A_RUN

    @property
    def exported(self) -> str:
        """Its name at the endpoint."""
        return PREFIX + self.name


def counter(name: str, unit: str, told: str, tags: tuple[str, ...] = OF_A_RUN) -> Metric:
    """A metric that only grows."""
    return Metric(name=name, kind="counter", unit=unit, told=told, tags=tags)


def gauge(name: str, unit: str, told: str) -> Metric:
    """A metric that is what it was set to last."""
    return Metric(name=name, kind="gauge", unit=unit, told=told)


RUNS = counter(
    "manta_runs_total", "runs", "Runs that came to an end on this Ray, by exit code.", ("job_name", "exit_code")
)
PROGRESS = gauge(
    "manta_progress_timestamp_seconds", "seconds", "When the run last got on: a slice, or a row of a training's log."
)

DOCUMENTS = counter("manta_documents_total", "documents", "Documents done, dead letters included.")
ROWS = counter("manta_rows_total", "rows", "Rows written: documents, chunks or examples of them.")
SLICES = counter("manta_slices_total", "slices", "Slices done, a part each; of convert, shards.")
WRITTEN = counter("manta_written_bytes_total", "bytes", "Bytes of the parts written.")
TOKENS = counter("manta_tokens_total", "tokens", "Tokens of the rows written, special tokens included.")
DEAD_LETTERS = counter("manta_dead_letters_total", "documents", "Rows that could not be processed.")
SET_ASIDE = counter(
    "manta_shards_set_aside_total", "shards", "Shards or files that could not be used, or not to their end."
)
COMPUTED = counter("manta_computed_tokens_total", "tokens", "Tokens that the network computed, padding included.")
PADDING = counter("manta_padding_tokens_total", "tokens", "Padding among the tokens that the network computed.")
PADDING_RATIO = gauge("manta_padding_ratio", "1", "Padding by tokens computed, of the run so far.")
BUSY = counter("manta_encode_busy_seconds_total", "seconds", "Time that encoders computed or converted, summed.")
IDLE = counter("manta_encode_idle_seconds_total", "seconds", "Time that encoders waited for a slice, summed.")
BUSY_RATIO = gauge("manta_encode_busy_ratio", "1", "Busy by all of the encoders' time, of the run so far.")

STEPS = counter("manta_train_steps_total", "steps", "Steps done, those done again after a restart included.")
TRAIN_TOKENS = counter("manta_train_tokens_total", "tokens", "Tokens trained on, padding not counted.")
RESTARTS = counter("manta_train_restarts_total", "restarts", "Times that the workers were started again.")
STEP = gauge("manta_train_step", "steps", "The last step done, counted from the training's beginning.")
STEP_SECONDS = gauge("manta_train_step_seconds", "seconds", "Mean time of a step, since the last row of the log.")
TRAIN_RATE = gauge("manta_train_tokens_per_second", "tokens/second", "Tokens a second of all workers.")
DATA_WAIT = gauge("manta_train_data_wait_ratio", "1", "Share of the time that workers waited for data.")
LOSS = gauge("manta_train_loss", "nats", "Loss, the sum of its parts, mean since the last row of the log.")
WORKERS = gauge("manta_train_workers", "workers", "Workers at work.")
EVALUATION_LOSS = gauge("manta_evaluation_loss", "nats", "Loss on what is held out, at the last evaluation.")
MERIT = gauge("manta_evaluation_merit", "1", "What evaluations are compared by, at the last one: greater is better.")

OF_PROCESSING = (
    DOCUMENTS, ROWS, SLICES, WRITTEN, TOKENS, DEAD_LETTERS, SET_ASIDE, COMPUTED, PADDING, PADDING_RATIO, BUSY, IDLE,
    BUSY_RATIO,
)  # fmt: skip
OF_TRAINING = (
    STEPS, TRAIN_TOKENS, RESTARTS, STEP, STEP_SECONDS, TRAIN_RATE, DATA_WAIT, LOSS, WORKERS, EVALUATION_LOSS, MERIT,
)  # fmt: skip
TABLE = (RUNS, PROGRESS, *OF_PROCESSING, *OF_TRAINING)
"""All of them."""
