"""How a run ended, told as a metric: what watches a schedule sees the exit code, and need not read any report."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pipelines.errors import ShardError
from pipelines.run import metrics
from pipelines.run.recorder import Recorder

log = logging.getLogger(__name__)


def tell_end(job: str, exit_code: int) -> None:
    """Count a run's end under its exit code, on the Ray that it had joined; without one nothing is counted."""
    Recorder(job_name=job, exit_code=str(exit_code)).add(metrics.RUNS)


def join_to_tell(exit_code: int, join: Callable[[], None]) -> None:
    """Join the cluster for that metric alone, where shards were set aside before anybody needed Ray (exit code 3).

    ``join`` does nothing where Ray is joined already. Nothing that goes wrong is raised: the run is over.
    """
    if exit_code != ShardError.exit_code:
        return
    try:
        join()
    except Exception as error:
        log.warning("the exit code is told by no metric: %s", error)
