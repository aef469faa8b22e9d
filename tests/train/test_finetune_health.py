from __future__ import annotations

from typing import Any

from pipelines.train.finetune_health import FinetuneWatch


def watch(*points: tuple[dict[str, float], bool]) -> list[str]:
    found = FinetuneWatch()
    return [text for row, held_out in points for text in found.look(row, held_out=held_out)]


def evaluated(step: int, **row: float) -> tuple[dict[str, float], bool]:
    return {"step": step, **row}, True


def stepped(step: int, **row: Any) -> tuple[dict[str, float], bool]:
    return {"step": step, "progress": step / 100, **row}, False


def test_what_is_no_better_than_the_most_frequent_class_is_said_once_and_not_at_the_beginning() -> None:
    bad = {"metric_accuracy": 0.601, "baseline_accuracy": 0.6, "loss": 0.69}
    said = watch(
        stepped(40, loss=0.7), evaluated(40, **bad), stepped(60, loss=0.7), evaluated(60, **bad), evaluated(80, **bad)
    )
    (text,) = said
    assert text.startswith(
        "step 60: accuracy is 0.601, no better than the 0.600 of telling the most frequent class each time: the"
    )
    assert watch(stepped(60, loss=0.7), evaluated(60, metric_accuracy=0.7, baseline_accuracy=0.6)) == []


def test_of_values_the_mean_is_to_be_beaten() -> None:
    (text,) = watch(stepped(90, loss=1.0), evaluated(90, metric_spearman=0.0, metric_rmse=1.2, baseline_rmse=1.0))
    assert "rmse is 1.200, no better than the 1.000 of telling the mean of all values each time" in text
    assert watch(stepped(90, loss=1.0), evaluated(90, metric_rmse=0.8, baseline_rmse=1.0)) == []


def test_what_is_learnt_by_heart_is_said() -> None:
    rising = [0.5, 0.4, 0.45, 0.5, 0.6]
    learnt = [0.6, 0.4, 0.3, 0.2, 0.1]
    points = [point for n in range(5) for point in (stepped(10 * n, loss=learnt[n]), evaluated(10 * n, loss=rising[n]))]
    (text,) = watch(*points)
    assert text.startswith("step 30: on the examples to evaluate on the loss rose from 0.400 (step 10) to 0.500, while")
    assert "from 0.400 to 0.200: they are learnt by heart; take fewer epochs, or end early by --spec.patience" in text
    falling = [point for n in range(5) for point in (stepped(n, loss=learnt[n]), evaluated(n, loss=learnt[n]))]
    assert watch(*falling) == []
    both = [point for n in range(5) for point in (stepped(n, loss=rising[n]), evaluated(n, loss=rising[n]))]
    assert watch(*both) == []  # it diverges, rather


def test_waiting_for_data_is_said() -> None:
    rows = [stepped(n, loss=0.5, data_wait=0.2) for n in range(30)]
    (text,) = watch(*rows)
    assert "20% of the time is spent waiting for data" in text
