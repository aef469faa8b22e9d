from __future__ import annotations

import math

from huggingface_hub import ModelCard

from pipelines.run.trainings.model_index import model_index


def test_the_hubs_own_library_reads_it_back() -> None:
    name = 'reviews: "é" # 1'
    metrics = {"accuracy": 0.875, "matthews": -0.5, "mrr@10": 0.25, "auroc": math.nan}
    lines = model_index(name, "text-classification", "s3://b/data: 10% of it", metrics)
    card = ModelCard(f"---\n{lines}\n---\n# it\n")
    assert card.data.model_name == name
    assert [(one.metric_type, one.metric_name, one.metric_value) for one in card.data.eval_results] == [
        ("accuracy", "accuracy", 0.875), ("matthews_correlation", "matthews", -0.5), ("mrr", "mrr@10", 0.25),
    ]  # fmt: skip
    assert {(one.task_type, one.dataset_type, one.dataset_name) for one in card.data.eval_results} == {
        ("text-classification", "parquet", "s3://b/data: 10% of it")
    }


def test_small_and_large_values_stay_numbers() -> None:
    lines = model_index("m", "t", "d", {"mae": 1e-07, "rmse": 1.5e22})
    assert [one.metric_value for one in ModelCard(f"---\n{lines}\n---\n").data.eval_results] == [1e-07, 1.5e22]


def test_nothing_measured_is_nothing_said() -> None:
    assert model_index("m", "t", "d", {"auroc": math.nan}) == ""
