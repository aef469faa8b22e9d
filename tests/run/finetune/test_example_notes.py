"""What the user is told of examples; tests/run/finetune/test_examples.py has the lines of whole runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.finetune_spec import FinetuneSpec
from pipelines.run.finetune.example_notes import of_classes
from pipelines.run.finetune.finetune_order import FinetuneOrder
from tests.labelled import examples_in_turn, write_rows


def test_of_many_classes_the_ends_are_told() -> None:
    assert of_classes(["a", "b", "c"], np.array([5, 7000, 5])) == "b 7,000, a 5, c 5"
    names = [f"c{n}" for n in range(45)]
    assert of_classes(names, np.arange(45) + 1) == "45 classes, from 'c44' (45) down to 'c0' (1)"


def test_classes_without_rows_and_texts_that_are_cut(tmp_path: Path, tiny_model: Path) -> None:
    rows = [{"id": n, "text": "wind " * (50 if n < 3 else 5), "label": "ab"[n % 2]} for n in range(8)]
    write_rows(tmp_path / "train" / "a.parquet", [*rows, {"id": 8, "text": "a b", "label": "c"}])
    spec = FinetuneSpec(model=str(tiny_model), task="classification", eval_share=0.25)
    order = FinetuneOrder(train_data=str(tmp_path / "train"), output=str(tmp_path / "out"), progress="none")
    notes = examples_in_turn(order, spec).notes
    assert "no row to evaluate on has the class 'c'" in notes
    assert "3 texts of 9 rows were longer than 32 tokens, and cut there" in notes
