from __future__ import annotations

import logging

import pytest

from pipelines.run.ending import join_to_tell, tell_end
from tests.recorded import recorded


def test_ends_are_counted_by_job_and_exit_code() -> None:
    with recorded() as told:
        tell_end("embed", 3)
        tell_end("embed", 3)
    assert told.values == {"manta_runs_total": 2}
    assert told.tags == {(("job_name", "embed"), ("exit_code", "3"))}


def test_a_cluster_is_joined_for_shards_set_aside_alone() -> None:
    joined = []
    for code in (0, 1, 2, 3, 4, 143):
        join_to_tell(code, lambda code=code: joined.append(code))  # type: ignore[misc]
    assert joined == [3]


def test_a_cluster_that_is_gone_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def join() -> None:
        raise ConnectionError("nobody answers")

    with caplog.at_level(logging.WARNING):
        join_to_tell(3, join)
    assert caplog.messages == ["the exit code is told by no metric: nobody answers"]
