"""The plan of a run that has begun, made beside it: the same numbers as those of --plan, for the report."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pipelines.run.cause import cause
from pipelines.run.ground import Ground
from pipelines.run.placement import Placement
from pipelines.run.plan import Plan
from pipelines.run.prospects.forecast import forecast, outlook, planned
from pipelines.run.prospects.pace import known_pace
from pipelines.run.prospects.sampled import Sampled, take_sample
from pipelines.spec import DocumentSpec, EncodePool
from pipelines.stages.read import Reading, Stretch
from pipelines.stages.recipe import Recipe

log = logging.getLogger(__name__)

Sampling = Callable[[Sequence[Stretch], Reading, Recipe[DocumentSpec], threading.Event], Sampled]
"""``take_sample``, or the same elsewhere."""


class Foresight:
    """A thread of the driver, which idles while actors come up; it ends with the run at the latest.

    A plan that can't be made is told in the log, and stops no run.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._plan: dict[str, Any] | None = None

    def begin(
        self, ground: Ground, plan: Plan, gpu: EncodePool, placement: Placement, sampling: Sampling = take_sample
    ) -> None:
        """Make the plan of a run over documents by a model."""
        asked = (ground, plan, gpu, placement, sampling)
        self._thread = threading.Thread(target=self._make, args=asked, name="plan")
        self._thread.start()

    def plan(self) -> dict[str, Any] | None:
        """The plan once it is made; None where none was begun, or where it could not be made."""
        if self._thread is not None:
            self._thread.join()
        return self._plan

    @property
    def is_alive(self) -> bool:
        """Whether it is at work."""
        return self._thread is not None and self._thread.is_alive()

    def end(self) -> None:
        """Leave a plan that is not made yet."""
        self._stop.set()
        self.plan()

    def _make(self, ground: Ground, plan: Plan, gpu: EncodePool, placement: Placement, sampling: Sampling) -> None:
        try:
            pace = known_pace(ground.order.rates, ground.output)
            assert isinstance(ground.recipe, Recipe)
            sampled = sampling(plan.stretches, ground.reading, ground.recipe, self._stop)
            settled = replace(gpu, num_gpus=placement.encode_gpus, device="cuda" if placement.encode_gpus else "cpu")
            expected = forecast(ground, plan, sampled, settled)
            actors = {"encoders": placement.encode_actors.max, "tokenizers": placement.tokenize_actors}
            view = outlook(expected.tokens, pace, ground.order.rates, **actors) if pace else None
            self._plan = None if self._stop.is_set() else planned(expected, view, pace, ground.order.rates)
        except BaseException as error:  # a panic of the tokenizers library is no Exception, and may hold text
            ours = cause(error)
            told = f": {ours}" if ours else ""
            log.warning("there is no plan to hold the report against: %s%s", type(error).__name__, told)
