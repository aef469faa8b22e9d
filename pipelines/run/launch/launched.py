"""A job that was launched on a cluster: followed, stopped, asked for its report."""

from __future__ import annotations

import json
import re
import signal
import time
from typing import Any

from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from pipelines.errors import SpecError, StoreError
from pipelines.run.evaluations.evaluation_report import KEY as METRICS
from pipelines.run.launch.job_log import JobLog
from pipelines.run.launch.panel import REFRESH_SECONDS, screen_here, told_here
from pipelines.run.launch.submission import Submission
from pipelines.store.location import locate
from pipelines.store.output import FINGERPRINT

__all__ = ["LaunchedRun", "exit_code_of", "told_here"]
RUN = re.compile(r"_manta/runs/(\d{8}T\d{6}Z)-[0-9a-f]+\.json$")


class LaunchedRun:
    """A job on a cluster. It goes on there whatever becomes of this process.

    >>> run = launch("embed", "embed.yaml", address="http://head:8265")
    >>> run.wait()
    0
    """

    def __init__(self, client: JobSubmissionClient, job_id: str, submission: Submission) -> None:
        self.id = job_id
        self.dashboard = f"{client.get_address()}/#/jobs/{job_id}"
        self._client, self._submission, self._shown = client, submission, 0

    @property
    def status(self) -> str:
        """PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""
        return self._details().status.value

    def wait(self) -> int:
        """Show the job's log until it has ended; its exit code. KeyboardInterrupt leaves the job alone.

        Called again, it goes on where it was. A notebook shows progress and curves in places that change (``Panel``).
        StoreError where the head does not answer for minutes.
        """
        screen = screen_here(self.id)
        log = JobLog(self._client, self.id, screen.take, self._shown)
        try:
            with log:
                while not log.wait(REFRESH_SECONDS):
                    screen.refresh()
        finally:
            self._shown = log.shown
        details = self._details()
        screen.end(details.status.value.lower())
        if details.status != JobStatus.SUCCEEDED and details.driver_exit_code is None:
            print(f"{self.id} {details.status.value}: {details.message}", flush=True)
        return exit_code_of(details)

    def stop(self) -> None:
        """Ask the job to stop: it gets SIGTERM, and SIGKILL where it takes longer than the cluster allows."""
        self._client.stop_job(self.id)

    def report(self) -> dict[str, Any]:
        """The report that the job left in its output, or its metrics; {} where it had nothing to do, or failed.

        SpecError while it runs, and where this can't be told from here.
        """
        details, submission = self._details(), self._submission
        if not details.status.is_terminal():
            raise SpecError(
                f"{self.id} is {details.status.value}: it has a report once it has ended; call wait() before"
            )
        if FINGERPRINT in submission.output:
            raise SpecError(f"output is {submission.output!r}: which folder it is stands in the log alone")
        output = locate(submission.output, submission.storage)
        if submission.job == "evaluate":
            return json.loads(output.read(METRICS)) if details.driver_exit_code in (0, 3) else {}
        began, ended = (_stamp(moment) for moment in (details.start_time, details.end_time))
        named = {found[1]: entry.key for entry in output.list("_manta/runs/") if (found := RUN.search(entry.key))}
        ours = [named[stamp] for stamp in sorted(named) if began <= stamp <= ended]
        return json.loads(output.read(ours[-1])) if ours else {}

    def _details(self) -> JobDetails:
        try:
            return self._client.get_job_info(self.id)
        except (OSError, RuntimeError) as error:
            raise StoreError(f"the cluster tells nothing of {self.id} ({error}): ask again once it answers") from error


def exit_code_of(details: JobDetails) -> int:
    """The exit code of a job that has ended: its own; 143 where it was stopped, 1 where it never came to an end."""
    if details.status == JobStatus.SUCCEEDED:
        return 0
    if details.status == JobStatus.STOPPED:
        return 128 + signal.SIGTERM
    code = details.driver_exit_code or 1
    return code if code > 0 else 128 - code


def _stamp(milliseconds: int | None) -> str:
    """A moment as the ids of runs begin with it."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime((milliseconds or 0) / 1000))
