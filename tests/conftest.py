"""Fixtures that many tests share, each started once a session and only if a test asks for it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers import S3Server, seaweed

if TYPE_CHECKING:
    from ray.data import DataContext

    from tests.faults.nodes import Head, TwoNodes

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
os.environ.update(QUIET)  # before anything imports ray, which reads some of them only then
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]  # whoever runs the tests may have a store of their own: no test is to reach it


def pytest_configure(config: pytest.Config) -> None:
    """What Ray is about to drop is not to be used. (Not in pyproject.toml: it would import ray before the above.)"""
    config.addinivalue_line("filterwarnings", "error::ray.util.annotations.RayDeprecationWarning")


@pytest.fixture(autouse=True)
def ray_data_as_it_was() -> Iterator[None]:
    """Ray Data's settings are the process's: what a test sets is not to make the blocks of the next one."""
    if "ray.data" not in sys.modules:
        yield
        return
    from tests.tiny import own_data_context

    with own_data_context():
        yield


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
def head(s3_server: S3Server) -> Iterator[Head]:
    """A head of four CPUs with a job server, for jobs in processes of their own; it may use the S3 server.

    Its metrics reach their endpoint within a second.
    """
    from tests.endpoint import INTERVAL
    from tests.faults.nodes import ray_head

    with ray_head("--num-cpus=4", "--include-dashboard=true", variables=s3_server.environment | INTERVAL) as head:
        yield head


@pytest.fixture(scope="session")
def two_nodes() -> Iterator[TwoNodes]:
    """A cluster of two nodes on this machine; whoever changes it leaves two."""
    from tests.faults.nodes import cluster_of_two

    with cluster_of_two() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, one a session. Nobody is told of it: processes that are to reach it get its environment."""
    with seaweed(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The S3 server, which this process reaches by its own environment as long as the test runs."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server


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
