"""What the tests of cluster files share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from kubernetes_validate import utils


@pytest.fixture(scope="session", autouse=True)
def schemas_once() -> Iterator[None]:
    """kubernetes-validate reads megabytes of schemas again for each document: once is enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", cache(utils.schema_contents))
        yield
