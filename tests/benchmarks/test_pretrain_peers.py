"""The contestants train on the same instances, and get better at it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer, BertConfig, BertForPreTraining

from benchmarks import pretrain_peers
from benchmarks.pretrain_peers import CONTESTANTS, feature, main, read
from tests.tiny_instances import prepare


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Instances, and a BERT with both heads that can learn from them."""
    folder = tmp_path_factory.mktemp("peers")
    instances = prepare(folder / "instances", tiny_model)
    BertForPreTraining(BertConfig.from_pretrained(tiny_model)).save_pretrained(folder / "model")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder / "model")
    return instances, folder / "model"


def test_an_instance_is_told_as_collators_take_it() -> None:
    row = {"input_ids": [1, 5, 2, 6, 2], "segment_b_start": 3, "next_sentence_label": 1, "num_tokens": 5}
    assert feature(row) == {
        "input_ids": [1, 5, 2, 6, 2], "token_type_ids": [0, 0, 0, 1, 1], "next_sentence_label": 1,
    }  # fmt: skip


@pytest.mark.parametrize("name", CONTESTANTS)
def test_all_train(made: tuple[Path, Path], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain_peers, "LEARNING_RATE", 0.003)
    instances, model = made
    table = read(instances)
    contestant = CONTESTANTS[name](instances, model, 16)
    first_tokens, first = contestant.train(1)
    assert 16 * 3 <= first_tokens <= 16 * max(table["num_tokens"].to_pylist())
    epoch, last = contestant.train(4 * table.num_rows // 16)
    assert epoch == 4 * sum(table["num_tokens"].to_pylist())
    assert last < first


def test_a_contestant_writes_what_it_did(made: tuple[Path, Path], tmp_path: Path) -> None:
    main("manta-float32", *made, tmp_path / "r.json", batch=8, steps=2)
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["tokens"] > 0
    assert found["seconds"] > 0
    assert 0 <= found["data_wait"] <= 1
