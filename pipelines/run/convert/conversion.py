"""One run of a conversion: which groups of files are left to do, what came back, what is swept away.

with open_conversion(order, spec) as run:
    if run.groups:
        ...                                   # start Ray
        run.follow(convert(run.groups, run.conversion, num_tasks=run.place()))
    return run.finish().exit_code
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ray.data import Dataset

from pipelines.convert_spec import ConvertSpec
from pipelines.errors import LeaseError, ShardError, SpecError
from pipelines.run import metrics
from pipelines.run.cluster import cluster_resources
from pipelines.run.convert.convert_ground import ConvertGround, survey_files
from pipelines.run.convert.convert_report import ConvertReport, Files
from pipelines.run.order import Order, new_run_id
from pipelines.run.phases import Phases
from pipelines.run.progress import Progress
from pipelines.run.reach import Newcomers, require_shared
from pipelines.run.recorder import Recorder
from pipelines.run.streaming import own_settings, set_streaming
from pipelines.run.trunk import ENOUGH_TO_JUDGE
from pipelines.stages.convert import Receipt, receipts_of
from pipelines.store.conversion import (
    Group,
    Plan,
    done_numbers,
    plan_groups,
    read_plan,
    strangers,
    write_plan,
)
from pipelines.store.lease import Lease, hold
from pipelines.store.shards import Shard
from pipelines.store.sources import Source

OBJECT_STORE_BYTES = 64 * 2**20
"""Receipts are small: this is more than all that may wait."""


@contextmanager
def open_conversion(order: Order, spec: ConvertSpec) -> Iterator[ConversionRun]:
    """A run of files into an output: surveyed, its lease held, its plan made. The lease is released at the end."""
    run_id = new_run_id()
    with Progress(mode=order.progress, unit="shards") as progress:
        phases = Phases(progress)
        phases.enter("plan")
        ground = survey_files(order, spec)
        with hold(ground.conversion.output, run_id, progress.say) as lease:
            ground.conversion.output.sweep()
            run = ConversionRun(run_id, ground, lease, progress, phases)
            try:
                with own_settings():
                    yield run
            finally:
                run.recorder.close()


class ConversionRun:
    """A run that holds its output's lease."""

    def __init__(self, run_id: str, ground: ConvertGround, lease: Lease, progress: Progress, phases: Phases) -> None:
        self.id = run_id
        self.conversion = ground.conversion
        self._ground, self._lease, self._progress, self._phases = ground, lease, progress, phases
        self._began = time.time()
        self._reasons: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._set_aside: dict[str, str] = {}
        self._num_rows = self._num_bytes = self._num_shards = 0
        self._peak_bytes = 0.0
        self.recorder = Recorder(job_name=ground.order.job, run=run_id)
        before, done = read_plan(ground.conversion.output), done_numbers(ground.conversion.output)
        self._plan, self._files = replan(before, done, ground.sources, ground.conversion.spec.shard_bytes)
        if again := self._files.begun_again:
            progress.say(
                f"{again:,} file{' begins' if again == 1 else 's begin'} again, which an earlier run had not done"
            )
        if self._plan != before:
            lease.check()
            write_plan(ground.conversion.output, self._plan)
        self.groups = [group for group in self._plan.groups if group.number not in done]
        """What is left to do."""

    def starting(self) -> None:
        """Ray is about to start."""
        self._phases.enter("start")

    def place(self) -> int:
        """Set Ray Data for the run, on the cluster that Ray has joined; give the most tasks at once, of one CPU each.

        SpecError where no node has a CPU to give, or nodes don't see the same local folders.
        """
        resources = cluster_resources().beside_training
        nodes = (*resources.nodes, *resources.to_come)
        num_tasks = sum(int(node.cpus) for node in nodes)
        if not num_tasks:
            raise SpecError(f"no node has a CPU to give ({resources}): join another cluster by --ray.address")
        output = self.conversion.output
        require_shared(output=output.path if output.is_local else "", inputs=self._ground.local_inputs)
        set_streaming(OBJECT_STORE_BYTES, resources)
        return min(num_tasks, len(self.groups))

    def follow(self, receipts: Dataset) -> None:
        """Take in the receipts as they come. ShardError where too much goes wrong, LeaseError where it can't go on."""
        newcomers = Newcomers(self._ground.local_files)
        self._phases.enter("convert")
        for batch in receipts.iter_batches(batch_size=None, batch_format="pyarrow"):
            newcomers.ask()
            for receipt in receipts_of(batch):
                self._receive(receipt)
        newcomers.ask(now=True)

    def finish(self) -> ConvertReport:
        """Remove what is left of files that changed, end the display, and give the report.

        Where nothing was to be done, nothing is written.
        """
        output = self.conversion.output
        if litter := strangers(output, self._plan):
            self._phases.enter("commit")
            self._lease.check()
            output.remove(litter)
        self._progress.end()
        report = self._report()
        if self.groups or litter:
            output.put(f"_manta/runs/{self.id}.json", report.to_json().encode())
        return report

    def _receive(self, receipt: Receipt) -> None:
        self._reasons.update(receipt.reasons)
        self._left_out.update(receipt.left_out)
        self._set_aside |= receipt.set_aside
        self._num_rows += receipt.num_rows
        self._num_bytes += receipt.num_bytes
        self._num_shards += bool(receipt.key)
        self._peak_bytes = max(self._peak_bytes, receipt.peak_bytes)
        dead = sum(receipt.reasons.values())
        self._progress.update(documents=receipt.num_rows + dead, slices=int(bool(receipt.key)), dead_letters=dead)
        self._record(receipt, dead)
        if self._lease.lost:
            raise LeaseError(f"{self.conversion.output} is no longer held by this run: {self._lease.lost}")
        if self._num_documents >= ENOUGH_TO_JUDGE and self._too_many:
            ((commonest, _),) = self._reasons.most_common(1)
            raise ShardError(
                f"{self._reasons.total()} of {self._num_documents} documents are dead letters, more than "
                f"--max_dead_letters {self._ground.order.max_dead_letters:g}, most of them because {commonest}: "
                "mend it, or allow more, and run again"
            )

    def _record(self, receipt: Receipt, num_dead: int) -> None:
        self.recorder.set(metrics.PROGRESS, time.time())
        self.recorder.add(metrics.DOCUMENTS, receipt.num_rows + num_dead)
        self.recorder.add(metrics.ROWS, receipt.num_rows)
        self.recorder.add(metrics.SLICES, bool(receipt.key))
        self.recorder.add(metrics.WRITTEN, receipt.num_bytes)
        self.recorder.add(metrics.DEAD_LETTERS, num_dead)
        self.recorder.add(metrics.SET_ASIDE, len(receipt.set_aside))

    @property
    def _num_documents(self) -> int:
        return self._num_rows + self._reasons.total()

    @property
    def _too_many(self) -> bool:
        return self._reasons.total() > self._ground.order.max_dead_letters * self._num_documents

    def _report(self) -> ConvertReport:
        wrong = self._set_aside or self._left_out or self._too_many
        return ConvertReport(
            run=self.id,
            job=self._ground.order.job,
            output=self.conversion.output.uri,
            began_at=self._began,
            exit_code=ShardError.exit_code if wrong else 0,
            files=self._files,
            groups=len(self.groups),
            documents=self._num_documents,
            rows=self._num_rows,
            shards=self._num_shards,
            shard_bytes=self._num_bytes,
            peak_bytes=self._peak_bytes,
            ids=self.conversion.columns.ids,
            schema={one.name: str(one.type) for one in self.conversion.columns.schema},
            dead_letters=dict(self._reasons.most_common()),
            set_aside=self._set_aside,
            left_out=dict(self._left_out),
            phase_seconds=self._phases.seconds,
        )


def replan(before: Plan, done: set[int], sources: Sequence[Source], full_bytes: int) -> tuple[Plan, Files]:
    """The plan for the files as they are now.

    A group with a file that has changed leaves it, as does one that is not done and lacks a file; what is there of
    their files, and files that are new, are put into new groups. Files that vanished stay in the groups that are done.
    """
    now = {source.file.name: source for source in sources}
    kept = [group for group in before.groups if _holds(group, now, group.number in done)]
    known = {file.name for group in kept for file in group.files}
    fresh: dict[str, list[Shard]] = {}
    for name, source in now.items():
        if name not in known:
            fresh.setdefault(source.split, []).append(source.file)
    added = plan_groups(fresh, before.next_number, full_bytes)
    files = Files(
        there=len(sources),
        new=sum(map(len, fresh.values())),
        changed=sum(_changed(file, now) for group in before.groups for file in group.files),
        vanished=sum(file.name not in now for group in kept for file in group.files),
        begun_again=sum(len(group.files) for group in kept if group.number not in done),
    )
    return Plan(groups=(*kept, *added), next_number=before.next_number + len(added)), files


def _changed(file: Shard, now: dict[str, Source]) -> bool:
    return file.name in now and now[file.name].file.shard_id != file.shard_id


def _holds(group: Group, now: dict[str, Source], is_done: bool) -> bool:
    changed = any(_changed(file, now) for file in group.files)
    return not changed and (is_done or all(file.name in now for file in group.files))
