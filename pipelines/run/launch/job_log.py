"""The log of a job on a cluster, shown as it is written: by a thread, since a notebook has a loop of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import aiohttp
from ray.job_submission import JobSubmissionClient

from pipelines.errors import StoreError

RETRY_SECONDS = 1.0
LOST_SECONDS = 120.0
"""How long a head may be silent before nobody waits for it any more."""


class JobLog:
    """With it in force a job's log is shown from its start; ``wait`` returns once it and the job have ended.

    A connection that breaks is made again, and goes on where it was. ``shown`` characters at its start are passed over.
    """

    def __init__(self, client: JobSubmissionClient, job_id: str, show: Callable[[str], None], shown: int = 0) -> None:
        self._client, self._id, self._show = client, job_id, show
        self.shown = shown
        self._error: BaseException | None = None
        self._over = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"log of {job_id}")

    def __enter__(self) -> JobLog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._over.is_set():
            with suppress(RuntimeError):  # it ended in between
                self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join()

    def wait(self, seconds: float | None = None) -> bool:
        """Return once the job has ended and its log is shown, or after so many seconds; whether it has ended.

        StoreError where the head is lost.
        """
        is_over = self._over.wait(seconds)
        if self._error:
            raise self._error
        return is_over

    def _run(self) -> None:
        try:
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._follow())
        except BaseException as error:  # raised where somebody waits
            self._error = error
        finally:
            self._over.set()
            self._loop.close()

    def _cancel(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    async def _follow(self) -> None:
        heard = time.monotonic()
        while True:
            try:
                await self._pass()
                if self._client.get_job_info(self._id).status.is_terminal():
                    return
                heard = time.monotonic()
            except (aiohttp.ClientError, OSError, RuntimeError) as error:
                if time.monotonic() - heard > LOST_SECONDS:
                    raise StoreError(
                        f"the cluster has told nothing of {self._id} for {LOST_SECONDS:.0f} s ({error}): the job may "
                        f"go on there; ray job logs --follow {self._id} shows it once the head answers"
                    ) from error
            await asyncio.sleep(RETRY_SECONDS)

    async def _pass(self) -> None:
        """Read the log from its start until it ends or the connection breaks; show what was not shown before."""
        read = 0
        async for text in self._client.tail_job_logs(self._id):
            fresh = text[max(0, self.shown - read) :]
            read += len(text)
            if fresh:
                self.shown = read
                self._show(fresh)
