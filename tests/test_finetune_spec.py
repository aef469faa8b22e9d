from __future__ import annotations

from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.finetune_spec import FinetuneSpec


def spec(**fields: Any) -> FinetuneSpec:
    return FinetuneSpec(**{"model": "m", "task": "classification", **fields})


def test_a_training_is_three_epochs_unless_it_has_another_length() -> None:
    assert spec().epochs == 3
    assert spec(max_steps=10).epochs == 0
    assert spec(epochs=0.5).lengths == {"epochs": 0.5, "max_steps": 0, "max_tokens": 0, "time_budget": ""}
    with pytest.raises(SpecError, match=r"epochs=2.0 and time_budget=1m: write one of epochs,"):
        spec(epochs=2.0, time_budget="1m")
    with pytest.raises(SpecError, match="no length of the training"):
        spec(epochs=0.0)


@pytest.mark.parametrize(
    ("task", "column"),
    [
        ("classification", "label"),
        ("regression", "label"),
        ("token_classification", "tags"),
        ("question_answering", "answers"),
        ("embedding", ""),
    ],
)
def test_labels_have_a_column_by_the_task(task: str, column: str) -> None:
    paired = task in ("question_answering", "embedding")
    assert spec(task=task, text_pair="other" if paired else "").label == column
    assert spec(task=task, text_pair="other" if paired else "", label="mine").label == "mine"


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"model": ""}, "model is '': name a model"),
        ({"eval_share": 1.0}, "eval_share is 1.0: write a share from 0 to below 1"),
        ({"label": ""}, "label is '': name the column of the labels"),
        ({"label": "text"}, "label is 'text': each column serves one end"),
        ({"labels": ["spam"]}, "labels is ..spam..: name two classes at least"),
        ({"labels": ["a", "a"]}, "each once"),
        ({"task": "regression", "labels": ["a", "b"]}, "regression has no classes: leave them out"),
        ({"task": "regression", "label_smoothing": 0.1}, "label_smoothing is 0.1: regression has no classes"),
        ({"task": "multi_label", "class_weights": "balanced"}, "class_weights is 'balanced'"),
        ({"task": "embedding"}, "text_pair is '': embedding needs one: name the column of the positive"),
        ({"task": "question_answering"}, "name the column of the context"),
        ({"task": "token_classification", "text_pair": "b"}, "tags are of the words of one column"),
        ({"negatives": ["n"]}, "they are for task embedding without a label"),
        ({"patience": -1}, "patience is -1: write a number of at least 0"),
        ({"temperature": 0.0}, "temperature is 0.0: write a number above 0"),
        ({"max_seqlen": 4}, "max_seqlen is 4: write auto, or a number of at least 8"),
    ],
)
def test_a_field_is_refused_by_its_name_and_value(fields: dict[str, Any], refusal: str) -> None:
    with pytest.raises(SpecError, match=refusal):
        spec(**fields)


def test_what_decides_nothing_is_idle() -> None:
    assert spec().idle == {"model", "model_class", "decay", "stride", "negatives", "temperature"}
    assert "temperature" not in spec(task="embedding", text_pair="b").idle
    assert "temperature" in spec(task="embedding", text_pair="b", label="score").idle
