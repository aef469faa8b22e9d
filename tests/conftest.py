"""Fixtures that many tests share: one local Ray a session, one S3 server a session."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers import S3Server, seaweed

if TYPE_CHECKING:
    from ray.data import DataContext

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
os.environ.update(QUIET)  # before anything imports ray, which reads some of them only then


def pytest_configure(config: pytest.Config) -> None:
    """What Ray is about to drop is not to be used. (Not in pyproject.toml: it would import ray before the above.)"""
    config.addinivalue_line("filterwarnings", "error::ray.util.annotations.RayDeprecationWarning")


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """Local Ray with four logical CPUs, one a session. Its own, also where a cluster runs on the machine."""
    import ray

    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets' paths must stay short: not under tmp_path
    try:
        ray.init(
            address="local",
            num_cpus=4,
            object_store_memory=512 * 2**20,
            include_dashboard=False,
            logging_level="WARNING",
            log_to_driver=False,
            _temp_dir=folder,
        )
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, one a session; the environment of this process tells clients how to reach it."""
    with seaweed(tmp_path_factory.mktemp("s3")) as server, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture
def data_context() -> Iterator[DataContext]:
    """Ray Data's settings, to be changed by a test: what was there comes back."""
    from tests.tiny import own_data_context

    with own_data_context() as context:
        yield context


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model that encodes in no time, one a session."""
    from tests.tiny import save_model

    return save_model(tmp_path_factory.mktemp("tiny") / "model")
