from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from rich.console import Console

from pipelines.run.finetune.sweep_report import Result, SweepReport, spread


def result(rate: float, seed: int, accuracy: float, failure: str = "") -> Result:
    metrics = {} if failure else {"accuracy": accuracy, "f1": accuracy / 2}
    return Result(
        name=f"lr{rate:g}-seed{seed}", output=f"o/runs/lr{rate:g}-seed{seed}", setting={"learning_rate": rate},
        seed=seed, metric="accuracy", metrics=metrics, step=10, failure=failure,
    )  # fmt: skip


REPORT = SweepReport(
    output="o", seconds=75.0,
    results=(result(1e-5, 0, 0.6), result(1e-5, 1, 0.95), result(2e-5, 0, 0.8), result(2e-5, 1, 0.9)),
)  # fmt: skip


def text(report: SweepReport) -> list[str]:
    console = Console(width=100, force_terminal=False)
    with console.capture() as capture:
        console.print(report.render())
    return [line.rstrip() for line in capture.get().splitlines()]


def test_mean_and_deviation_by_hand() -> None:
    assert spread([1.0, 3.0]) == pytest.approx((2.0, 2**0.5))
    assert math.isnan(spread([1.0])[1])


def test_the_best_setting_has_the_best_mean_and_its_best_seed_the_best_model() -> None:
    (task,) = REPORT.tasks
    assert [one.setting["learning_rate"] for one in task.settings] == [2e-5, 1e-5]
    assert task.best is not None
    assert task.best.name == "lr2e-05-seed1"  # not lr1e-05-seed1, which was luckier
    assert REPORT.exit_code == 0


def test_the_table_has_a_line_a_setting() -> None:
    assert text(REPORT) == [
        "finetune: 4 of 4 runs done in 1:15",
        "output o",
        "",
        "learning rate  seeds         accuracy               f1",
        "        2e-05      2  0.8500 ± 0.0707  0.4250 ± 0.0354",
        "        1e-05      2  0.7750 ± 0.2475  0.3875 ± 0.1237",
        "",
        "best model o/runs/lr2e-05-seed1 (accuracy 0.9000)",
        "it was chosen by the examples that it is measured on: on others it may do less well",
    ]


def test_a_run_that_failed_is_named_and_the_others_count() -> None:
    report = SweepReport(output="o", results=(result(1e-5, 0, 0.6), result(1e-5, 1, 0.0, "it diverged")))
    assert report.exit_code == 1
    assert replace(REPORT, examples_exit_code=3).exit_code == 3
    assert report.tasks[0].settings[0].metrics["accuracy"][0] == 0.6
    assert "        1e-05      1    0.6000  0.3000" in text(report)
    assert text(report)[-1] == "lr1e-05-seed1 failed: it diverged"
    nothing = SweepReport(output="o", results=(result(1e-5, 1, 0.0, "it diverged"),))
    assert nothing.tasks[0].best is None
    assert text(nothing)[0] == "finetune: 0 of 1 runs done in 0:00"


def of_task(label: str, rate: float, metric: str, value: float) -> Result:
    return replace(
        result(rate, 0, 0.0), label=label, name=f"{label}-lr{rate:g}", output=f"o/runs/{label}-lr{rate:g}",
        metric=metric, metrics={metric: value},
    )  # fmt: skip


def test_settings_are_compared_within_a_task() -> None:
    report = SweepReport(
        output="o/", seconds=75.0,
        results=(of_task("topic", 1e-5, "accuracy", 0.6), of_task("topic", 2e-5, "accuracy", 0.5),
                 of_task("stars", 1e-5, "rmse", 0.9), of_task("stars", 2e-5, "rmse", 0.7)),
    )  # fmt: skip
    assert text(report) == [
        "finetune: 4 of 4 runs done in 1:15",
        "output o/",
        "",
        "topic",
        "learning rate  seeds  accuracy",
        "        1e-05      1    0.6000",
        "        2e-05      1    0.5000",
        "",
        "best model o/runs/topic-lr1e-05 (accuracy 0.6000), put into o/models/topic",
        "",
        "stars",
        "learning rate  seeds    rmse",
        "        2e-05      1  0.7000",
        "        1e-05      1  0.9000",
        "",
        "best model o/runs/stars-lr2e-05 (rmse 0.7000), put into o/models/stars",
        "it was chosen by the examples that it is measured on: on others it may do less well",
    ]
    told = json.loads(report.to_json())["tasks"]
    assert {label: (one["metric"], one["best"]) for label, one in told.items()} == {
        "topic": ("accuracy", "topic-lr1e-05"), "stars": ("rmse", "stars-lr2e-05"),
    }  # fmt: skip


def test_it_is_kept_as_json() -> None:
    told = json.loads(REPORT.to_json())
    assert (told["metric"], told["best"]) == ("accuracy", "lr2e-05-seed1")
    assert told["settings"][0]["metrics"]["accuracy"] == pytest.approx({"mean": 0.85, "deviation": 0.0707}, abs=1e-4)
    assert [run["seed"] for run in told["settings"][0]["runs"]] == [0, 1]
