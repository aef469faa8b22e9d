"""What is told before a run, held against what the run makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.run.ground import survey
from pipelines.run.order import Order, Rates
from pipelines.run.prospects.forecast import Forecast, forecast, on_gpu, outlook, planned
from pipelines.run.prospects.inventory import Inventory
from pipelines.run.prospects.pace import Pace
from pipelines.run.prospects.sampled import take_sample
from pipelines.spec import EmbedSpec, EncodePool, Slicing
from pipelines.stages.recipe import Recipe
from pipelines.store.output import agree
from tests.tiny import embed_in_turn, sentence, write_shard

SLICING = Slicing(max_rows=50)
BUDGET = EncodePool(token_budget=64)


@pytest.mark.parametrize("overlong", ["truncate", "chunk"])
def test_a_forecast_by_all_documents_is_what_the_run_makes(overlong: str, tiny_model: Path, tmp_path: Path) -> None:
    texts = [sentence(number, 1 + number % 50) for number in range(200)]
    write_shard(tmp_path / "corpus/a.parquet", 200, text=[*texts[:-1], None])
    spec = EmbedSpec(model=str(tiny_model), precision="float32", overlong=overlong, passthrough=["year"])  # type: ignore[arg-type]
    order = Order(job="embed", documents=str(tmp_path / "corpus"), output=str(tmp_path / "vectors"), slicing=SLICING)
    found = Inventory(survey(order, recipe := Recipe.of(spec), agree))
    sampled = take_sample(found.plan.stretches, found.ground.reading, recipe)
    expected = forecast(found.ground, found.plan, sampled, BUDGET)
    report = embed_in_turn(spec, tmp_path / "corpus", tmp_path / "vectors", slicing=SLICING)
    assert expected == Forecast(
        documents=200, rows=report.rows, tokens=report.tokens, tokens_error=0.0, truncated=report.truncated,
        dead_letters=1, padding_fraction=expected.padding_fraction, write_bytes=expected.write_bytes, sampled=200,
    )  # fmt: skip
    assert expected.write_bytes == pytest.approx(report.write_bytes, rel=0.1)
    assert 0 < expected.padding_fraction < 0.3
    assert (report.slices, found.plan.num_slices) == (4, 4)


def test_a_gpu_packs() -> None:
    assert [on_gpu(EncodePool(num_gpus=n)) for n in ("auto", 0, 0.5)] == [False, False, True]  # type: ignore[arg-type]
    assert on_gpu(EncodePool(device="cuda"))


def test_time_and_cost_by_hand() -> None:
    """7.2 M tokens by four actors at 500 tokens/s: an hour."""
    pace, rates = Pace(tokens_per_second=500, source="given"), Rates(gpu=1.5, cpu=0.25)
    view = outlook(7_200_000, pace, rates, encoders=4, tokenizers=2)
    assert (view.seconds, view.cost) == (3600, {"gpu": 6.0, "cpu": 0.5})
    expected = Forecast(
        documents=1, rows=1, tokens=7_200_000, tokens_error=0.1, truncated=0, dead_letters=0, padding_fraction=0.0,
        write_bytes=9, sampled=1,
    )  # fmt: skip
    told = planned(expected, view, pace, rates)
    assert (told["seconds"], told["cost"], told["pace"]) == (3600, {"gpu": 6.0, "cpu": 0.5}, "given")
    assert "cost" not in planned(expected, view, pace, Rates())
    assert "seconds" not in planned(expected, None, None, rates)
