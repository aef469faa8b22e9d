"""Fine-tunings over the tiny vocabulary: labelled texts that a word tells apart, and what a worker is given of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.finetune_spec import FinetuneSpec
from pipelines.learning_spec import TrainPool
from pipelines.run.finetune.finetune_ground import survey
from pipelines.run.finetune.finetune_order import FinetuneOrder
from pipelines.run.trainings.training_ground import TrainingGround
from pipelines.train.assignment import Assignment
from tests.labelled import examples_in_turn, write_rows

FILLERS = ("the", "of", "a", "ship", "peace")


def rows(num: int, seed: int = 0) -> list[dict[str, Any]]:
    """Texts of fillers and, somewhere, one word that tells the label: "gold" or "union"."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(num):
        label = ("gold", "union")[number % 2]
        words = [str(word) for word in rng.choice(FILLERS, int(rng.integers(1, 9)))]
        words.insert(int(rng.integers(len(words) + 1)), label)
        found.append({"id": f"d{number}", "text": " ".join(words), "label": label, "value": float(number % 2)})
    return found


def spec_for(model: Path | str, **fields: Any) -> FinetuneSpec:
    """Eight examples a step, without dropout."""
    told = {"task": "classification", "global_batch": 8, "learning_rate": 3e-3, "precision": "float32", "epochs": 3.0,
            "dropout": 0.0, "eval_share": 0.25}  # fmt: skip
    return FinetuneSpec(model=str(model), **{**told, **fields})


def flags_of(spec: FinetuneSpec) -> list[str]:
    """The flags of the job that ask for this spec."""
    told = [(field.name, getattr(spec, field.name), field.default) for field in fields(spec)]
    found = [(name, value) for name, value, default in told if value not in (default, [])]
    return [word for name, value in found for word in (f"--spec.{name}", str(value))]


def ground(
    folder: Path, spec: FinetuneSpec, data: Sequence[Mapping[str, Any]], pool: TrainPool = TrainPool(), **order: Any
) -> TrainingGround:
    """What a fine-tuning on these rows stands on; its output is the folder's "model"."""
    if not (folder / "data/0.parquet").exists():
        write_rows(folder / "data/0.parquet", data)
    asked = FinetuneOrder(**{
        "train_data": str(folder / "data"), "output": str(folder / "model"), "progress": "none",
        "examples": str(folder / "examples"), **order,
    })  # fmt: skip
    return survey(asked, spec, pool, examples_in_turn(asked, spec))


def assignment(
    folder: Path, spec: FinetuneSpec, data: Sequence[Mapping[str, Any]], pool: TrainPool = TrainPool(), **order: Any
) -> Assignment:
    """What a worker of one thread is given."""
    return ground(folder, spec, data, pool, **order).assignment("run7", 1)
