"""Fixtures that many tests share: one local Ray a session, one S3 server a session."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
os.environ.update(QUIET)  # before anything imports ray, which reads some of them only then


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """Local Ray with four logical CPUs, one for the whole session. Its own, also where a cluster runs on the machine."""
    import ray

    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets' paths must stay short: not under tmp_path
    ray.init(
        address="local",
        num_cpus=4,
        object_store_memory=512 * 2**20,
        include_dashboard=False,
        configure_logging=True,
        logging_level="WARNING",
        log_to_driver=False,
        _temp_dir=folder,
    )
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
