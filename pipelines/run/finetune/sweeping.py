"""A sweep at work: fine-tunings side by side, as many at once as the cluster has room for, and the best of each task.

Each is a training of its own under OUTPUT/runs/, with its lease, checkpoints and curves; the examples are shared. Those
that came to their end are not done again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.errors import MantaError, SpecError
from pipelines.finetune_spec import FinetuneSpec
from pipelines.learning_spec import TrainPool
from pipelines.run.finetune.example_ground import check_data
from pipelines.run.finetune.examples import MadeExamples
from pipelines.run.finetune.finetune_ground import check_request, survey
from pipelines.run.finetune.finetune_order import FinetuneOrder
from pipelines.run.finetune.sweep import Sweep, Trial, folder_of, models_of
from pipelines.run.finetune.sweep_report import KEY, Result, SweepReport
from pipelines.run.stop import Brake, exit_code_of
from pipelines.run.trainings.training import AGAIN, POLL_SECONDS, TrainingRun, open_training
from pipelines.run.trainings.training_progress import TrainingProgress, describe_evaluation
from pipelines.store.location import Location, locate
from pipelines.store.output import FINGERPRINT
from pipelines.store.training_output import FINISHED
from pipelines.train.finetune_delivery import METRICS

RUNS = "runs"
BESIDE = ("_manta", "tensorboard", RUNS, "examples")
"""Folders of a run's output that are no part of its model."""
Make = Callable[[FinetuneOrder, FinetuneSpec], MadeExamples]
"""Makes examples of an order's data, or finds them made: ``pipelines.run.finetune.examples.make_examples``."""


def run_sweep(
    order: FinetuneOrder, spec: FinetuneSpec, pool: TrainPool, sweep: Sweep, make: Make, join: Callable[[], None]
) -> SweepReport:
    """Train all that a sweep lists, or what is left of it; put its table, and each task's best model, into the output.

    ``join`` starts Ray, or joins the cluster. SpecError before anything starts where one of the trainings can't be.
    Ctrl-C and SIGTERM ask all that are at work for a checkpoint first.
    """
    began = time.monotonic()
    trials = sweep.trials(spec)
    if FINGERPRINT in order.output:
        raise SpecError(f"output is {order.output!r}: a sweep is of many specs, name one folder for all of them")
    orders = {trial.name: _order(order, trial, models_of(trials)) for trial in trials}
    for trial in trials:
        check_request(orders[trial.name], trial.spec, pool)
    firsts = _first_of_each_data(trials, orders)
    for trial in firsts:
        check_data(orders[trial.name], trial.spec)
    made = {orders[trial.name].examples: make(orders[trial.name], trial.spec) for trial in firsts}
    room = 1
    if not all(map(_is_done, orders.values())):
        join()
        room = room_for(pool)
    with TrainingProgress(order.progress) as progress:
        failures = Sweeping(orders, pool, made, progress).run(trials, room)
    results = tuple(result_of(trial, orders[trial.name], failures.get(trial.name, "")) for trial in trials)
    report = SweepReport(
        output=order.output, results=results, seconds=time.monotonic() - began,
        examples_exit_code=max(one.exit_code for one in made.values()),
    )  # fmt: skip
    _put(report, locate(order.output, order.storage))
    return report


@dataclass(frozen=True)
class _Active:
    """A training at work, and what is to be closed after it."""

    trial: Trial
    run: TrainingRun
    stack: ExitStack


class Sweeping:
    """Runs trials; ``made`` are the examples by their folder, ``orders`` the orders by the trial's name."""

    def __init__(
        self,
        orders: Mapping[str, FinetuneOrder],
        pool: TrainPool,
        made: Mapping[str, MadeExamples],
        progress: TrainingProgress,
    ) -> None:
        self._orders, self._pool, self._made, self._progress = orders, pool, made, progress
        self._active: list[_Active] = []
        self._failures: dict[str, str] = {}

    def run(self, trials: Sequence[Trial], room: int) -> dict[str, str]:
        """Train them all, so many at once; why some failed, by name. Others go on after a failure."""
        waiting = deque(trials)
        self._progress.say(f"sweep of {len(trials)} runs, {min(room, len(trials))} at once")
        try:
            while waiting or self._active:
                while waiting and len(self._active) < room:
                    self._begin(waiting.popleft())
                for one in list(self._active):
                    self._look(one)
        except KeyboardInterrupt as stop:
            with suppress(KeyboardInterrupt):  # once more: it is not waited for
                self._stop(exit_code_of(stop))
            raise type(stop)(AGAIN) from None
        finally:
            self._close()
        return self._failures

    def _begin(self, trial: Trial) -> None:
        order = self._orders[trial.name]
        found = partial(survey, order, trial.spec, self._pool, self._made[order.examples])
        stack = ExitStack()
        try:
            run = stack.enter_context(open_training(found, "none"))
            if not run.has_work:
                self._progress.say(f"{trial.name}  is done")
                stack.close()
                return
            run.observers.append(partial(self._tell, trial.name))
            run.starting()
            run.launch()
        except MantaError as error:
            stack.close()
            self._fail(trial, error)
            return
        self._active.append(_Active(trial, run, stack))
        self._progress.say(f"{trial.name}  begins" if not run.newest_step else f"{trial.name}  goes on")

    def _look(self, one: _Active) -> None:
        try:
            if not one.run.poll(POLL_SECONDS / len(self._active)):
                return
            one.run.finish()
        except MantaError as error:
            one.run.ask_stop()
            self._fail(one.trial, error)
        self._active.remove(one)
        one.stack.close()

    def _fail(self, trial: Trial, error: MantaError) -> None:
        self._failures[trial.name] = f"{type(error).__name__}: {error}"
        self._progress.say(f"{trial.name}  failed: {self._failures[trial.name]}")

    def _tell(self, name: str, event: Mapping[str, Any]) -> None:
        if event["event"] == "evaluated":
            self._progress.say(f"{name}  {describe_evaluation(event)}")

    def _stop(self, exit_code: int) -> None:
        """Ask all for a checkpoint, and wait for it; KeyboardInterrupt where nobody wants to wait."""
        at_work = [one for one in self._active if one.run.books.workers]
        for one in self._active:
            one.run.ask_stop()
        self._progress.say(f"stopping {len(at_work)} runs after checkpoints; once more, and they are not waited for")
        with Brake():
            for one in at_work:
                with suppress(MantaError):
                    while not one.run.poll():
                        pass
                    one.run.put_stopped(exit_code)

    def _close(self) -> None:
        """Give back what is held by trainings that did not come to their end."""
        for one in self._active:
            with suppress(MantaError):
                one.run.ask_stop()
            one.stack.close()
        self._active.clear()


def room_for(pool: TrainPool) -> int:
    """How many trainings of such a pool the cluster has room for at once, one at least."""
    from pipelines.run.cluster import cluster_resources  # Ray
    from pipelines.run.slots import slots
    from pipelines.run.trainings.crew import crew_for

    found = cluster_resources().for_training
    crew = crew_for(pool, found)
    return max(1, slots((*found.nodes, *found.to_come), crew.size) // crew.most)


def result_of(trial: Trial, order: FinetuneOrder, failure: str = "") -> Result:
    """What a run's metrics.json says that its model came to."""
    about = Result(name=trial.name, output=order.output, setting=trial.setting, seed=trial.seed, label=trial.label)
    if failure or not _is_done(order):
        return replace(about, failure=failure or "it did not come to its end")
    told = json.loads(locate(order.output, order.storage).read(METRICS))
    if not told.get("metrics"):
        return replace(about, step=told["weights_of_step"], failure="nothing was held out to evaluate it on")
    return replace(about, metric=told["metric"], metrics=told["metrics"], step=told["weights_of_step"])


def _order(order: FinetuneOrder, trial: Trial, models: Sequence[str]) -> FinetuneOrder:
    """The order of one run: under the sweep's output, its examples those of all with the same labels and model."""
    root = order.output.rstrip("/")
    examples = (order.examples or f"{root}/examples").rstrip("/")
    if trial.label:
        examples = f"{examples}/{folder_of(trial.label)}"
    if len(models) > 1:
        examples = f"{examples}/model{models.index(trial.spec.model)}"
    return replace(order, output=f"{root}/{RUNS}/{trial.name}", examples=examples)


def _first_of_each_data(trials: Sequence[Trial], orders: Mapping[str, FinetuneOrder]) -> list[Trial]:
    """One trial for each folder of examples."""
    return list({orders[trial.name].examples: trial for trial in reversed(trials)}.values())[::-1]


def _is_done(order: FinetuneOrder) -> bool:
    return locate(order.output, order.storage).stat(FINISHED) is not None


def _put(report: SweepReport, output: Location) -> None:
    """The best model of each task, and its curves, into the output, then what says which ones they are."""
    for task in report.tasks:
        if task.best:
            copy_model(locate(task.best.output, output.storage), output.join(task.folder) if task.folder else output)
    output.put(KEY, report.to_json().encode())


def copy_model(source: Location, output: Location) -> None:
    """What a run's output holds, beside its books, put into another."""
    for entry in source.list():
        if entry.key.partition("/")[0] in BESIDE:
            continue
        with tempfile.TemporaryDirectory(prefix="manta-") as folder:
            file = source.on_disk(entry.key, Path(folder))
            output.put_written(entry.key, partial(_copy, file))


def _copy(source: Path, to: Path) -> None:
    shutil.copyfile(source, to)
