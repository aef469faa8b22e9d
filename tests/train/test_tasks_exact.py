"""A network with a head comes out the same however its examples were spread over workers, for every task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertConfig,
)

from pipelines.model.finetuning import KINDS, FinetuningModel
from pipelines.model.freezing import freeze
from pipelines.model.lesson import Lesson
from pipelines.text.example_batch import LOSSES, ExampleBatch
from pipelines.train.optimizer import AdamSettings
from pipelines.train.ranks import Ranks
from pipelines.train.source import Share
from pipelines.train.step import Stepper
from tests.train.small import flat
from tests.train.workers import on_workers

EXAMPLES, LABELS = 9, 3
ADAM = AdamSettings(max_grad_norm=1.0, epsilon=1e-2)  # a key's bias has a slope of rounding alone
MAKERS: dict[str, Any] = {
    "sequence": AutoModelForSequenceClassification,
    "token": AutoModelForTokenClassification,
    "answer": AutoModelForQuestionAnswering,
}


def small_network(task: Any) -> FinetuningModel:
    """Two layers, of which the upper one learns."""
    torch.manual_seed(0)
    counts = {"regression": 1, "question_answering": 2}
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.3,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=counts.get(task, LABELS),
    )
    module = MAKERS[KINDS[task]].from_config(config)
    freeze(module.base_model, 1)
    weights = (0.5, 1.0, 2.0) if task in ("classification", "token_classification") else ()
    return FinetuningModel(module, Lesson(task=task, num_logits=config.num_labels, class_weights=weights))


def examples(task: str, numbers: Sequence[int]) -> ExampleBatch:
    """Each a function of its number."""
    rngs = [np.random.default_rng(number) for number in numbers]
    rows = [rng.integers(5, 50, rng.integers(2, 9)) for rng in rngs]
    of_one: dict[str, Any] = {
        "classification": lambda rng, row: rng.integers(LABELS),
        "multi_label": lambda rng, row: rng.integers(0, 2, LABELS).astype(np.float32),
        "regression": lambda rng, row: np.float32(rng.normal()),
        "question_answering": lambda rng, row: np.sort(rng.integers(0, len(row), 2)),
        "token_classification": lambda rng, row: np.where(row % 3 == 0, -100, row % LABELS),
    }
    told = [of_one[task](rng, row) for rng, row in zip(rngs, rows, strict=True)]
    return ExampleBatch(
        task=task,
        values=np.concatenate(rows).astype(np.int32),
        offsets=np.cumsum([0, *map(len, rows)]),
        segment_b_start=np.zeros(len(rows), np.int32),
        targets=np.concatenate(told) if task == "token_classification" else np.stack(told),
        number=np.array(numbers, np.int64),
    )


def train(task: str, numbers: Sequence[int], ranks: Ranks = Ranks()) -> np.ndarray[Any, Any]:
    """Weights after three steps."""
    model = small_network(task)
    stepper = Stepper(model, ADAM, losses=[LOSSES[task]], ranks=ranks)
    share = Share(batches=[examples(task, numbers)], num_tokens=0)
    counts = {LOSSES[task]: examples(task, range(EXAMPLES)).num_told}
    for number in range(3):
        stepper.step(number, share, counts, 1e-2)
    return flat(model)


def work(folder: Path) -> None:
    """What each worker does: its share of the examples, for one task after the other."""
    ranks = Ranks.joined()
    begin, end = (EXAMPLES * rank // ranks.world for rank in (ranks.rank, ranks.rank + 1))
    found = {task: train(task, range(begin, end), ranks) for task in KINDS}
    np.savez(folder / f"{ranks.rank}.npz", **found)


def test_workers_are_one_worker(tmp_path: Path) -> None:
    on_workers([2], tmp_path, work)
    first, second = (np.load(tmp_path / "2" / f"{rank}.npz") for rank in range(2))
    for task in KINDS:
        assert np.abs(first[task] - train(task, range(EXAMPLES))).max() < 1e-6
        assert (first[task] == second[task]).all()
        assert np.abs(first[task] - flat(small_network(task))).max() > 1e-3
