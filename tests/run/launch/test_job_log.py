"""The log of a job that runs on a head: shown once, also where the connection breaks."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pipelines.errors import StoreError
from pipelines.run.launch import job_log
from pipelines.run.launch.job_log import JobLog
from tests.faults.nodes import Head
from tests.job_servers import client_of, waiting_for, wire_to


class Shown:
    """What was shown, and whether it holds a word yet."""

    def __init__(self, word: str) -> None:
        self.text, self.word, self.there = "", word, threading.Event()

    def __call__(self, text: str) -> None:
        self.text += text
        if self.word in self.text.splitlines():
            self.there.set()

    @property
    def echoed(self) -> list[str]:
        """What the job itself said."""
        return [line for line in self.text.splitlines() if line in ("one", "two")]


@pytest.mark.timeout(120)
def test_a_log_goes_on_after_the_wire_was_cut(head: Head, tmp_path: Path) -> None:
    shown = Shown("one")
    with wire_to(head.dashboard) as wire:
        client = client_of(head, wire.address)
        job_id = client.submit_job(entrypoint=waiting_for(tmp_path / "go"))
        with JobLog(client, job_id, shown) as log:
            assert shown.there.wait(60)
            wire.cut()
            assert log.wait(0.01) is False
            (tmp_path / "go").touch()
            assert log.wait() is True
    assert shown.echoed == ["one", "two"]
    assert log.shown == len(shown.text)
    again = Shown("two")
    with JobLog(client_of(head), job_id, again, shown.text.rindex("two")) as log:
        log.wait()
    assert again.echoed == ["two"]


@pytest.mark.timeout(120)
def test_who_leaves_early_waits_for_nothing(head: Head, tmp_path: Path) -> None:
    client, shown = client_of(head), Shown("one")
    job_id = client.submit_job(entrypoint=waiting_for(tmp_path / "go"))
    with JobLog(client, job_id, shown):
        assert shown.there.wait(60)
    assert shown.echoed == ["one"]
    assert client.get_job_info(job_id).status.value == "RUNNING"
    (tmp_path / "go").touch()


@pytest.mark.timeout(120)
def test_a_head_that_is_lost_is_told(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_log, "LOST_SECONDS", 0.0)
    with wire_to(head.dashboard) as wire:
        client = client_of(head, wire.address)
    with JobLog(client, "some-job", print) as log, pytest.raises(StoreError, match="told nothing of some-job"):
        log.wait()
