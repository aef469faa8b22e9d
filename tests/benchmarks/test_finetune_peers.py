"""The contestants learn the same labels from the same texts."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.finetune_peers import CONTESTANTS, Settings, main

WORDS = {"crown": "the king, of the crown", "sea": "a ship, on the sea"}


@pytest.fixture(scope="module")
def settings(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("labelled")
    for name in ("train", "eval"):
        rows = [{"id": f"{name}-{number}", "text": f"{text}{' ,' * number}", "label": label}
                for number in range(16) for label, text in WORDS.items()]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    paths = {"train_data": folder / "train.parquet", "eval_data": folder / "eval.parquet"}
    return Settings(**paths, model=tiny_model, seed=0, batch=16, steps=12, learning_rate=0.01, max_seqlen=16)


@pytest.mark.parametrize("name", CONTESTANTS)
def test_all_learn(settings: Settings, name: str, tmp_path: Path) -> None:
    main(name, settings, tmp_path / "result.json")
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["steps_per_second"] > 0
    assert found["accuracy"] > 0.9
