"""One run of a training: surveyed, its lease held, its workers started and listened to until they are done.

with open_training(lambda: survey(order, spec, pool), order.progress) as training:
    if training.has_work:
        ...                                   # start Ray
        training.follow()
    return training.finish().exit_code
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from pipelines.errors import LeaseError, StoreError
from pipelines.run.chips import peak_flops
from pipelines.run.display import Mode
from pipelines.run.order import new_run_id
from pipelines.run.phases import Phases
from pipelines.run.stop import Brake, exit_code_of, unstoppable
from pipelines.run.trainings.chronicle import Chronicle
from pipelines.run.trainings.crew import Crew
from pipelines.run.trainings.training_books import DONE, TrainingBooks, warned
from pipelines.run.trainings.training_card import CARD, card_of
from pipelines.run.trainings.training_ground import TrainingGround
from pipelines.run.trainings.training_metrics import TrainingMetrics
from pipelines.run.trainings.training_progress import TrainingProgress
from pipelines.run.trainings.training_report import TrainingReport, make_training_report
from pipelines.store.lease import Lease, hold
from pipelines.store.training_output import FINISHED

POLL_SECONDS = 0.25
WAITING_SECONDS = 5.0
AGAIN = "checkpoints stay; run the same command with --resume to go on"
"""What somebody who stopped a training is told."""
Observer = Callable[[Mapping[str, Any]], None]


@contextmanager
def open_training(survey: Callable[[], TrainingGround], mode: Mode) -> Iterator[TrainingRun]:
    """A training in an output that may begin or go on there, and is held by its lease until the end.

    ``survey`` finds what it stands on, and refuses what can't be done.
    """
    run_id = new_run_id()
    with TrainingProgress(mode) as progress:
        phases = Phases(progress)
        phases.enter("plan")
        ground = survey()
        with hold(ground.output, run_id, progress.say) as lease:
            ground.output.sweep()
            run = TrainingRun(run_id, ground, lease, progress, phases)
            try:
                yield run
            except BaseException:
                with suppress(StoreError):
                    run.chronicle.close()
                raise
            finally:
                run.metrics.close()
            run.chronicle.close()


class TrainingRun:
    """A training that holds its output's lease."""

    def __init__(
        self, run_id: str, ground: TrainingGround, lease: Lease, progress: TrainingProgress, phases: Phases
    ) -> None:
        self.id, self.ground, self.progress = run_id, ground, progress
        self._lease, self._phases = lease, phases
        self._began = time.time()
        self.newest_step = ground.claim()
        self.books = TrainingBooks(first_step=self.newest_step or 0, step=self.newest_step or 0)
        self.chronicle = Chronicle(
            ground.output,
            title=f"{ground.about.begins_with} on {ground.about.corpus}",
            newest_step=self.newest_step,
            watch=ground.about.watch,
            warn=lambda text: self._take([warned(text)]),
        )
        self.metrics = TrainingMetrics(ground.about.job, run_id)
        self.observers: list[Observer] = [self.chronicle.observe, self.metrics.observe]
        """Hear of every event: ``pipelines.train.events`` as dictionaries, and what befalls the workers."""
        self._crew: Crew | None = None
        self._muster: Any = None
        self._next_look, self._stopping = 0.0, False
        progress.expect(ground.about.max_steps)
        if ground.resume and self.newest_step is None:
            progress.say(f"{ground.output} has no checkpoint to go on from: the training begins")

    @property
    def has_work(self) -> bool:
        """Whether there are steps left to do."""
        return not (self.newest_step is not None and self.ground.is_finished)

    def starting(self) -> None:
        """Ray and the workers come up from here on, until the first of them tells of itself."""
        self._phases.enter("start")

    def follow(self) -> None:
        """Have the workers train, and listen to them until they are done.

        Ctrl-C and SIGTERM ask them for a checkpoint first; another one does not wait for it. Raises as ``poll``.
        """
        self.launch()
        try:
            self._listen()
        except KeyboardInterrupt as stop:
            with suppress(KeyboardInterrupt):  # once more: it is not waited for
                self._stop(exit_code_of(stop))
            raise type(stop)(AGAIN) from None
        except BaseException:
            self.ask_stop()  # on a Ray that stays the workers would go on
            raise

    def launch(self) -> None:
        """Start the workers, on the Ray that was joined. SpecError where they can't be placed."""
        from pipelines.run.trainings.muster import Muster  # Ray

        self._take([warned(remark) for remark in self.ground.about.remarks])
        self._muster = Muster.of(self.ground, self.id)
        self._crew = self._muster.crew

    def poll(self, seconds: float = POLL_SECONDS) -> bool:
        """Wait so long at most, and take in what the workers told; whether they are through.

        StoreError where they failed too often or ended too early, and whatever of ours they raise.
        """
        is_over = bool(self._muster.wait(seconds))
        self._hear()
        if is_over:
            self._muster.raise_error()
            self._check_outcome()
        elif self._lease.lost:
            raise LeaseError(f"{self.ground.output} is no longer held by this run: {self._lease.lost}")
        elif not self.books.workers and time.monotonic() > self._next_look:
            self._next_look = time.monotonic() + WAITING_SECONDS
            if missing := self._muster.waits_for():
                self.progress.waiting(missing)
        return is_over

    def ask_stop(self) -> None:
        """Ask the workers for a checkpoint and the end; ``poll`` hears of it."""
        self._stopping = True
        self._muster.stop()

    def put_stopped(self, exit_code: int) -> None:
        """Keep the report of a run that was stopped (``pipelines.run.stop.exit_code_of``)."""
        self._put_report(self._report(exit_code))

    def finish(self) -> TrainingReport:
        """Say that the training came to its end, end the display, and give the report."""
        report = self._report(0)
        if self.has_work:
            self._lease.check()
            card = card_of(self.ground, self.books, self.chronicle.evaluation)
            self.ground.output.put(CARD, str(card).encode())
            self._put_report(report)
            self.ground.output.put(FINISHED, json.dumps({"run": self.id, "step": self.books.step}).encode())
        self.progress.end()
        return report

    def _listen(self) -> None:
        while not self.poll():
            pass

    def _check_outcome(self) -> None:
        if self.books.outcome != DONE and not self._stopping:
            raise StoreError("the workers ended before the training did: run again with --resume, and report it")

    def _stop(self, exit_code: int) -> None:
        """Ask the workers for a checkpoint, and wait for it; KeyboardInterrupt where nobody wants to wait."""
        self.ask_stop()
        self._hear()  # they may be at work, and nobody knows of it yet
        if self.books.workers:
            self.progress.say("stopping after a checkpoint; once more, and it is not waited for")
            with Brake():
                self._listen()
        self.put_stopped(exit_code)

    @unstoppable
    def _hear(self) -> None:
        """Take in what the workers told. A stop in between would lose it: it is on the desk no more."""
        self._take(self._muster.events())

    def _take(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            if line := self.books.note(event):
                self.progress.say(line)
            if event["event"] == "began":
                self._phases.enter("train")
            elif event["event"] == "stepped":
                self.progress.step(self._with_mfu(event))
            elif event["event"] == "evaluated":
                self.progress.evaluated(event)
            for observe in self.observers:
                observe(event)

    def _with_mfu(self, event: Mapping[str, Any]) -> dict[str, float]:
        """A point of the curves, and the share of the chips' dense peak that was reached, where that is known."""
        row = dict(self.books.row)
        peak = peak_flops(str(self.books.facts.get("chip", "")))
        if peak and row.get("flops_per_second"):
            row["mfu"] = row["flops_per_second"] / (peak * row["workers"])
        return row

    def _report(self, exit_code: int) -> TrainingReport:
        return make_training_report(
            self.ground,
            self.books,
            run=self.id,
            started=self._began,
            exit_code=exit_code,
            phase_seconds=self._phases.seconds,
            crew=self._crew,
        )

    def _put_report(self, report: TrainingReport) -> None:
        self.ground.output.put(f"_manta/runs/{self.id}.json", report.to_json().encode())
