"""One run of a job over a corpus: what is left to do, what came back, what is committed.

with open_run(order, recipe) as run:
    if run.plan.stretches:
        ...                                   # start Ray, build the dataset of receipts from run.plan
        run.follow(receipts)
    return run.finish().exit_code
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager

import pyarrow as pa
from ray.data import Dataset

from pipelines.errors import LeaseError, ShardError, StoreError
from pipelines.model.calibration import Calibrated
from pipelines.run.calibration import find_calibration, footer_of, settle
from pipelines.run.ground import Ground, survey
from pipelines.run.order import Order, new_run_id
from pipelines.run.phases import Phases
from pipelines.run.placement import Placement
from pipelines.run.progress import Progress
from pipelines.run.prospects.foresight import Foresight
from pipelines.run.prospects.inventory import Inventory
from pipelines.run.reach import Newcomers
from pipelines.run.report import Corpus, Report, make_report
from pipelines.run.slice_metrics import SliceMetrics
from pipelines.run.streaming import own_settings, shown_while_waiting
from pipelines.run.tally import Tally
from pipelines.schema import HEADER, SliceHeader
from pipelines.stages.read import Reading
from pipelines.stages.recipe import RunRecipe
from pipelines.store.lease import Lease, hold
from pipelines.store.manifest import commit
from pipelines.store.parts import dead_letters_key, keys_beside

ENOUGH_TO_JUDGE = 1000
"""Documents after which a run that goes wrong wholesale is stopped; fewer say little."""


@contextmanager
def open_run(order: Order, recipe: RunRecipe) -> Iterator[Run]:
    """A run over a corpus into an output: surveyed, its lease held, its plan made. The lease is released at the end."""
    run_id = new_run_id()
    with Progress(mode=order.progress) as progress:
        phases = Phases(progress)
        phases.enter("plan")
        ground = survey(order, recipe)
        with hold(ground.output, run_id, progress.say) as lease:
            ground.output.sweep()
            run = Run(run_id, ground, lease, progress, phases)
            try:
                with own_settings():
                    yield run
            finally:
                run.metrics.close()
                run.foresight.end()


class Run:
    """A run that holds its output's lease."""

    def __init__(self, run_id: str, ground: Ground, lease: Lease, progress: Progress, phases: Phases) -> None:
        self.id = run_id
        self.ground = ground
        self.output = ground.output
        self.progress = progress
        self.tally = Tally()
        self.metrics = SliceMetrics(ground.order.job, run_id)
        self.lease = lease
        self._placement: Placement | None = None
        self._phases = phases
        self._began = time.time()
        found = Inventory(ground)
        self.books, self.ledger, self.plan = found.books, found.ledger, found.plan
        self._manifest, self._live = found.manifest, found.live
        self.beyond: Set[str] = found.beyond
        """Shards of days that the order does not ask for: they stay as they are."""
        self.foresight = Foresight()
        self.calibrated = find_calibration(self.output) if ground.recipe.spec.is_quantized else None
        """How vectors are quantized; None for floats, and for a new output until ``calibrate``."""

    def starting(self, phase: str = "start") -> None:
        """From here on Ray and the actors come up, or what is needed before them, until the receipts are followed."""
        self._phases.enter(phase)

    def calibrate(self, make: Callable[[], Calibrated]) -> None:
        """Make the output's calibration, and put it there before anything is quantized by it."""
        self._phases.enter("calibrate")
        made = make()
        self.lease.check()
        self.calibrated = settle(self.output, made)

    @property
    def reading(self) -> Reading:
        """How the read stage is to read."""
        return self.ground.reading

    @property
    def metadata(self) -> dict[str, str]:
        """What each part's footer, and the manifest's, says of how it was made."""
        return self.ground.told | (footer_of(self.calibrated) if self.calibrated else {})

    def follow(self, receipts: Dataset, placement: Placement) -> None:
        """Take in the receipts as they come. Until the first, show what the run waits for.

        StoreError where fewer documents came back than were planned, SpecError where a later node sees other files.
        """
        newcomers = Newcomers(self.ground.local_files)
        self._placement = placement
        self.progress.expect(documents=self.plan.num_documents, slices=self.plan.num_slices)
        self._phases.enter(self.ground.recipe.phase)
        arrived = threading.Event()
        with shown_while_waiting(placement, self.progress.waiting, arrived):
            for batch in receipts.iter_batches(batch_size=None, batch_format="pyarrow"):
                arrived.set()
                newcomers.ask()
                for row in range(batch.num_rows):
                    self._receive(batch.slice(row, 1))
        newcomers.ask(now=True)
        if self.books.num_came_back < self.plan.num_documents:
            raise StoreError(
                f"{self.plan.num_documents} documents went in and {self.books.num_came_back} came back: nothing was "
                "committed; run again, and the others are done, and report it"
            )

    def _receive(self, receipt: pa.Table) -> None:
        header = SliceHeader.from_arrow(receipt[HEADER][0])
        values = receipt.drop_columns([HEADER]).to_pylist()[0]
        self.books.receive(header, values)
        self.tally.add(header, num_rows=values["num_rows"])
        self.metrics.note(header, values, self.tally)
        self.progress.update(
            documents=header.num_documents,
            tokens=int(header.stats.get("num_tokens", 0)),
            slices=1,
            dead_letters=len(header.dead_letters),
        )
        if self.lease.lost:
            raise LeaseError(f"{self.output.uri} is no longer held by this run: {self.lease.lost}; nothing is lost")
        self._judge()

    def _judge(self) -> None:
        most = self.ground.order.max_dead_letters
        seen, dead = self.tally.num_documents, self.tally.num_dead_letters
        if seen >= ENOUGH_TO_JUDGE and dead > most * seen:
            raise ShardError(
                f"{dead} of {seen} documents are dead letters, more than --max_dead_letters {most:g}, most of them "
                f"because {self.tally.commonest_reason}: what is done stays done; mend it, or allow more, and run again"
            )

    def finish(self) -> Report:
        """Commit what is done, delete what left, end the display, and give the report.

        Where nothing changed, nothing is written.
        """
        ledger, books = self.ledger, self.books
        drop = self.ground.order.removed == "drop"
        leaving = [*ledger.changed, *(ledger.vanished if drop else ())]
        changed = bool(books.num_added or books.num_new or leaving or ledger.gone or books.new_set_aside)
        if changed:
            self._phases.enter("commit")
            settled = books.settle(self._manifest, ledger, leaving, self.id)
            self._manifest = commit(self.output, settled, self.lease, self.metadata)
        self.metrics.set_aside(len(books.new_set_aside))
        self._sweep()
        self.progress.end()
        report = self._report()
        if changed:
            self.output.put(f"_manta/runs/{self.id}.json", report.to_json().encode())
        return report

    def _sweep(self) -> None:
        """Delete the parts that have left, also those that a killed run left to be deleted, and old dead letters."""
        cured = [
            key
            for key, num_dead_letters in self.books.dead_letters.items()
            if not num_dead_letters and key in self._live and self._live[key].num_dead_letters
        ]
        litter = self.ledger.litter
        if litter or cured:
            self.lease.check()
            beside = {key for part in litter for key in keys_beside(part)}
            self.output.remove([*litter, *beside, *map(dead_letters_key, cured)])

    def _report(self) -> Report:
        return make_report(
            self.tally,
            self._corpus(),
            run=self.id,
            job=self.ground.order.job,
            output=self.output.uri,
            started=self._began,
            exit_code=self._exit_code,
            phase_seconds=self._phases.seconds,
            placement=self._placement,
            calibrated=self.calibrated,
            spec=self.ground.recipe.spec,
            plan=self.foresight.plan(),
            rates=self.ground.order.rates,
        )

    @property
    def _exit_code(self) -> int:
        too_many = self.tally.num_dead_letters > self.ground.order.max_dead_letters * self.tally.num_documents
        return ShardError.exit_code if self.books.new_set_aside or too_many else 0

    def _corpus(self) -> Corpus:
        ledger, books = self.ledger, self.books
        added, removed = self._manifest.changes(self.id)
        vanished = set(ledger.vanished)
        kept = sum(part.shard_id in vanished for part in self._live.values())
        return Corpus(
            shards=len(self.ground.shards),
            done=books.num_done(self._manifest),
            set_aside={books.shards[shard_id].name: reason for shard_id, reason in books.new_set_aside.items()},
            set_aside_before=len(self.plan.set_aside.keys() - books.new_set_aside.keys()),
            changed=len(ledger.changed),
            vanished=len(vanished),
            parts_added=added.num_rows,
            parts_removed=removed.num_rows,
            parts_kept=kept if self.ground.order.removed == "keep" else 0,
            documents_left_out=self.plan.num_left_out,
        )
