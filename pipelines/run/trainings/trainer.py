"""Ray Train at work: workers that are started, watched, and started again from their own checkpoints when some fail.

Ray Train keeps no checkpoint and no metric here: workers keep their own, and tell what happens on the desk.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig, UserCallback
from ray.train.v2._internal.execution.callback import ControllerCallback  # no public one hears of a resize

from pipelines.errors import MantaError, StoreError
from pipelines.run.trainings.crew import Crew

PATIENCE_SECONDS = 120.0
"""So long a resize waits for a checkpoint; without one, what was done since the last is done again."""
POLL_SECONDS = 0.2


class Witness(UserCallback):
    """In Ray's controller: tells the desk why workers failed, and ends the training where another try is in vain."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Ray calls it when workers have failed, before it decides what becomes of the others."""
        rank, error = root(worker_exceptions)
        event = {"event": "failed", "rank": rank, "reason": reason(error)}
        ray.get(self._desk.tell.remote([event]))
        if isinstance(error, MantaError):
            raise error  # what ends here is not tried again by Ray


class Foresight(ControllerCallback):
    """In Ray's controller: before workers that are at work give way to more or fewer, they keep a checkpoint."""

    def __init__(self, desk: Any, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._desk, self._patience_seconds = desk, patience_seconds

    def before_controller_execute_resize_decision(self, resize_decision: Any) -> None:
        """Ray calls it before it starts workers, also the first ones and those after a failure."""
        at_work, before = ray.get(self._desk.kept.remote())
        if not at_work:
            return
        ray.get(self._desk.ask_checkpoint.remote())
        until = time.monotonic() + self._patience_seconds
        while ray.get(self._desk.kept.remote()) == (True, before) and time.monotonic() < until:
            time.sleep(POLL_SECONDS)


def root(failures: Mapping[int, Exception]) -> tuple[int, Exception]:
    """Rank and error that the others follow from: ours before a death, and a death before what it does to the rest."""

    def order(item: tuple[int, Exception]) -> tuple[int, int]:
        rank, error = item
        if isinstance(error, MantaError):
            return 0, rank
        return (1 if _is_dead(error) else 2), rank

    return min(failures.items(), key=order)


def reason(error: Exception) -> str:
    """Why a worker failed, in one line."""
    if _is_dead(error):
        lost = getattr(error.health_check_failure, "preempted", False)  # type: ignore[attr-defined]
        return "its node was taken away" if lost else "its process died (killed, out of memory, or its node is lost)"
    told = " ".join(str(error).split())
    return f"{type(error).__name__}: {told}" if told else type(error).__name__


def _is_dead(error: Exception) -> bool:
    """Whether the worker did not fail but die; the exception's class is none of Ray's public ones."""
    return hasattr(error, "health_check_failure")


class Fit:
    """A training under way, in a thread of its own, so that the driver's main thread stays free for signals."""

    def __init__(self, fit: Callable[[], object], clean: Callable[[], None]) -> None:
        self._fit, self._clean = fit, clean
        self.error: Exception | None = None
        # Not Thread.join: a KeyboardInterrupt within it makes Python 3.11 take a running thread for one that ended.
        self._over = threading.Event()
        threading.Thread(target=self._run, name="fit", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; whether the training is over."""
        return self._over.wait(seconds)

    def raise_error(self) -> None:
        """Nothing after a training that went well; else our error, or a StoreError with the reason of the failure."""
        if self.error is None:
            return
        ours = _ours(self.error)
        if ours is not None:
            raise ours from None
        failures = getattr(self.error, "worker_failures", None)
        why = reason(root(failures)[1]) if failures else reason(self.error)
        raise StoreError(
            f"the training failed: {why}; what is in checkpoints stays: mend it, or allow more train.max_failures, and "
            "run again with --resume"
        ) from self.error

    def _run(self) -> None:
        try:
            self._fit()
        except Exception as error:
            self.error = error
        finally:
            self._clean()
            self._over.set()


def _ours(error: Exception) -> MantaError | None:
    """The MantaError that Ray's controller or a worker ended with."""
    inner = getattr(error, "controller_failure", None)
    candidates = [inner, *getattr(error, "worker_failures", {}).values()]
    return next((found for found in candidates if isinstance(found, MantaError)), None)


def launch(
    work: Callable[[dict[str, Any]], None],
    config: dict[str, Any],
    crew: Crew,
    *,
    desk: Any,
    run: str,
    max_failures: int = 0,
    resize_seconds: float = 60.0,
) -> Fit:
    """Have the crew do ``work``, which each worker imports by its name and is given ``config``.

    Workers that fail are started again, all of them, so many times; -1: ever again. A node that is taken away with
    notice doesn't count. An elastic crew looks every ``resize_seconds`` whether the cluster has grown.
    """
    from ray.train.torch import TorchTrainer

    folder = tempfile.mkdtemp(prefix="manta-train-")  # Ray Train wants one, and puts nothing into it
    trainer = TorchTrainer(
        work,
        train_loop_config=config,
        scaling_config=ScalingConfig(
            num_workers=crew.most if crew.least == crew.most else (crew.least, crew.most),
            use_gpu=crew.num_gpus > 0,
            resources_per_worker=crew.resources,
            label_selector=dict(crew.label_selector) or None,
            elastic_resize_monitor_interval_s=resize_seconds,
        ),
        run_config=RunConfig(
            name=run,
            storage_path=folder,
            failure_config=FailureConfig(max_failures=max_failures),
            callbacks=[Witness(desk), Foresight(desk)],
        ),
    )
    return Fit(trainer.fit, lambda: shutil.rmtree(folder, ignore_errors=True))
