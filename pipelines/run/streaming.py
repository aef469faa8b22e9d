"""How Ray Data is set for a run of slices, and what is shown while the cluster is still growing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ray.data import DataContext, ExecutionResources

from pipelines.run.cluster import ClusterResources, cluster_resources
from pipelines.run.placement import Placement, waits_for

RETRIED_ERRORS = (
    "SlowDown",
    "ServiceUnavailable",
    "reduce your request rate",
    "EndpointConnectionError",
    "ReadTimeout",
    "ConnectTimeout",
    "InternalError",
)
"""What botocore and s3fs call a passing fault; Ray knows Arrow's words only. (Regular expressions.)"""


@contextmanager
def own_settings() -> Iterator[None]:
    """What is set of Ray Data within is so for datasets that are made within, and not for others of this process."""
    with DataContext.current(DataContext.get_current().copy()):
        yield


def set_streaming(object_store_bytes: int, resources: ClusterResources) -> None:
    """Set Ray Data's context for the datasets that are made from here on.

    One slice a block, or Ray gathers slices up to 128 MB before it hands them on. Read-ahead is bounded to so many
    bytes. A cluster that may grow, or get back nodes that it lost, may take long to: no guard stops a run which
    waits for it.
    """
    context = DataContext.get_current()
    context.target_max_block_size = 1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = 0
    context.retried_io_errors = list(dict.fromkeys([*context.retried_io_errors, *RETRIED_ERRORS]))
    context.execution_options.resource_limits = ExecutionResources.for_limits(object_store_memory=object_store_bytes)
    context.execution_options.label_selector = dict(resources.label_selector) or None
    if resources.is_autoscaled:
        context.execution_no_progress_timeout_s = -1


@contextmanager
def shown_while_waiting(
    placement: Placement, show: Callable[[str], None], arrived: threading.Event, interval_seconds: float = 5.0
) -> Iterator[None]:
    """Until ``arrived`` is set, say at once and every few seconds which nodes the first slice still waits for."""
    left = threading.Event()

    def watch() -> None:
        while not arrived.is_set() and not left.wait(interval_seconds):
            missing = waits_for(placement, cluster_resources().beside_training)
            if missing and not arrived.is_set():
                show(missing)

    watcher = threading.Thread(target=watch, name="waiting", daemon=True)
    if placement.waits_for:
        show(placement.waits_for)
        watcher.start()
    try:
        yield
    finally:
        left.set()
        if placement.waits_for:
            watcher.join(timeout=2 * interval_seconds)
