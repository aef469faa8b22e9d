"""Where the store's tests write: a disk, and a real S3 server."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from pipelines.store.location import Location, locate
from tests.servers import S3Server


@pytest.fixture(scope="session")
def session_bucket(s3_server: S3Server) -> str:
    """One bucket a session: to the server each is a set of volumes of its own."""
    return s3_server.bucket()


@pytest.fixture
def bucket(s3: S3Server, session_bucket: str) -> str:
    """The session's bucket, which the test can reach."""
    return session_bucket


@pytest.fixture(params=["disk", "s3"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """A new, empty output."""
    if request.param == "disk":
        return locate(str(tmp_path / "output"))
    return locate(f"s3://{request.getfixturevalue('bucket')}/{uuid.uuid4().hex}")
