"""The plan of a run that has begun: the numbers of --plan, in its report, beside what came of it."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipelines.errors import StoreError
from pipelines.run.order import Order, Rates
from pipelines.run.prospects.foresight import Foresight
from pipelines.run.prospects.prospect import look_ahead
from pipelines.run.report import Report
from pipelines.run.trunk import Run, open_run
from pipelines.spec import EmbedSpec, EncodePool, Slicing
from pipelines.stages.recipe import Recipe
from tests.tiny import FLAT, InTurn, write_shard

CPU = EncodePool(device="cpu")
RATES = Rates(tokens_per_second=9, gpu=360)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_shard(tmp_path / "corpus/a.parquet", 10)
    return tmp_path


def run(model: Path, folder: Path) -> tuple[Run, Report]:
    order = Order(
        job="embed", documents=str(folder / "corpus"), output=str(folder / "vectors"), slicing=Slicing(max_rows=4),
        progress="none", rates=RATES,
    )  # fmt: skip
    recipe = Recipe.of(EmbedSpec(model=str(model), precision="float32"))
    with open_run(order, recipe) as ours:
        ours.foresight.begin(ours.ground, ours.plan, CPU, FLAT)
        ours.follow(InTurn(ours, recipe), FLAT)  # type: ignore[arg-type]
        return ours, ours.finish()


def test_the_report_says_plan_and_actual(tiny_model: Path, folder: Path) -> None:
    """90 tokens at 9 a second, by one encoder of 360 an hour: 10 s for 1.00."""
    arguments = {
        "spec": EmbedSpec(model=str(tiny_model), precision="float32"), "documents": str(folder / "corpus"),
        "output": str(folder / "vectors"), "slicing": Slicing(max_rows=4), "rates": RATES, "gpu": CPU,
    }  # fmt: skip
    before = look_ahead("embed", arguments)
    ours, report = run(tiny_model, folder)
    assert report.plan == asdict(before.expected) | {
        "seconds": 10.0, "tokens_per_second_an_actor": 9, "pace": "given", "cost": {"gpu": 1.0, "cpu": 0.0},
    }  # fmt: skip
    kept = json.loads((folder / f"vectors/_manta/runs/{ours.id}.json").read_text())
    assert kept["plan"] == report.plan
    assert kept["actual_to_plan"]["tokens"] == kept["actual_to_plan"]["rows"] == 1.0
    seconds = report.phase_seconds["encode"]
    assert kept["cost"]["gpu"] == pytest.approx(seconds / 10)
    assert kept["actual_to_plan"]["seconds"] == pytest.approx(seconds / 10)
    assert kept["actual_to_plan"]["cost"] == pytest.approx(seconds / 10)


def test_a_plan_that_cannot_be_made_stops_no_run(
    tiny_model: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "vectors/_manta/runs").mkdir(parents=True)
    (folder / "vectors/_manta/runs/20260101T000000Z-aa.json").write_text("no JSON")
    order = Order(job="embed", documents=str(folder / "corpus"), output=str(folder / "vectors"), progress="none")
    with open_run(order, Recipe.of(EmbedSpec(model=str(tiny_model)))) as ours, caplog.at_level(logging.WARNING):
        ours.foresight.begin(ours.ground, ours.plan, CPU, FLAT)
        assert ours.foresight.plan() is None
    assert "there is no plan to hold the report against" in caplog.text


def test_a_plan_ends_with_its_run(tiny_model: Path, folder: Path) -> None:
    order = Order(job="embed", documents=str(folder / "corpus"), output=str(folder / "vectors"), progress="none")
    foresight = Foresight()
    with open_run(order, Recipe.of(EmbedSpec(model=str(tiny_model)))) as ours:
        foresight._stop.set()
        foresight.begin(ours.ground, ours.plan, replace(CPU, token_budget=64), FLAT)
        foresight.end()
    assert foresight.plan() is None
    begun: list[Foresight] = []
    with pytest.raises(StoreError):
        _fail(order, Recipe.of(EmbedSpec(model=str(tiny_model))), begun)
    assert not begun[0].is_alive


def _fail(order: Order, recipe: Recipe[EmbedSpec], begun: list[Foresight]) -> None:
    with open_run(order, recipe) as ours:
        ours.foresight.begin(ours.ground, ours.plan, CPU, FLAT)
        begun.append(ours.foresight)
        raise StoreError("the world failed")
