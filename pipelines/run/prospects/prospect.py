"""--plan: what a run would do, told here without Ray and with nothing written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipelines.errors import MantaError, SpecError
from pipelines.run.ground import survey
from pipelines.run.order import Order, order_of
from pipelines.run.prospects.forecast import Forecast, forecast
from pipelines.run.prospects.instance_prospect import InstanceProspect, look_ahead_of_instances
from pipelines.run.prospects.inventory import Inventory
from pipelines.run.prospects.pace import Pace, known_pace, measured_pace
from pipelines.run.prospects.prospect_tables import tables
from pipelines.run.prospects.sampled import Sampled, take_sample
from pipelines.spec import EncodePool, TokenizePool
from pipelines.stages.recipe import Recipe
from pipelines.store.output import agree

JOBS = ("embed", "predict", "prepare")
"""Jobs that can be planned."""


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What there is, what is to be done, and what it takes."""

    found: Inventory
    sampled: Sampled
    expected: Forecast
    pace: Pace | None
    """None: not known, and nothing measured."""
    cpu: TokenizePool
    gpu: EncodePool

    exit_code = 0

    def render(self) -> RenderableType:
        """It all as tables of rich, which fit 80 columns."""
        return tables(self)


def look_ahead(job: str, arguments: Mapping[str, Any], *, measuring: bool = True) -> Prospect | InstanceProspect:
    """The prospect of a job by its arguments. ``measuring``: a pace that is not known is measured in this process.

    SpecError where the request is wrong, or where the job is none that can be planned; FingerprintError where another
    spec has the output.
    """
    if job not in JOBS:
        raise SpecError(f"{job} can't be planned: only {', '.join(JOBS)} can")
    return look_ahead_of_instances(arguments) if job == "prepare" else _look_ahead(job, arguments, measuring)


def _look_ahead(job: str, arguments: Mapping[str, Any], measuring: bool) -> Prospect:
    order = order_of(Order, job, arguments)
    gpu: EncodePool = arguments.get("gpu", EncodePool())
    recipe = Recipe.of(arguments["spec"], order.storage, arguments.get("user_code", ""))
    found = Inventory(survey(order, recipe, agree))
    sampled = take_sample(found.plan.stretches, found.ground.reading, recipe)
    pace, made = known_pace(order.rates, found.output), None
    if pace is None and measuring and len(sampled.lengths):
        pace, made = measured_pace(recipe, gpu, sampled.chunks)
    return Prospect(
        found=found, sampled=sampled, expected=forecast(found.ground, found.plan, sampled, gpu, made), pace=pace,
        cpu=arguments.get("cpu", TokenizePool()), gpu=gpu,
    )  # fmt: skip


def from_here(job: str, arguments: Mapping[str, Any]) -> RenderableType:
    """The prospect of a job that is to run elsewhere, or why it can't be told from here. Nothing is measured."""
    try:
        return look_ahead(job, arguments, measuring=False).render()
    except MantaError as error:
        return Text(f"no plan from here: {error}")
