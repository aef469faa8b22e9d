from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForPreTraining, AutoTokenizer

from pipelines.train.delivery import deliver
from pipelines.train.network import make_network
from tests.tiny import VOCABULARY
from tests.train.given import assignment


def test_what_is_delivered_is_what_transformers_loads(prepared: Path, config: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    given = assignment(prepared, output, config)
    model = make_network(given.course, given.pool).model
    keys = deliver(given.course, given.output, model)
    assert keys[-1] == "config.json"
    assert {"model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= set(keys)
    assert sorted(path.name for path in output.iterdir() if path.is_file()) == sorted(keys)
    loaded = AutoModelForPreTraining.from_pretrained(output)
    assert torch.equal(
        loaded.bert.embeddings.word_embeddings.weight, model.module.bert.embeddings.word_embeddings.weight
    )
    tokenizer = AutoTokenizer.from_pretrained(output)
    assert tokenizer.tokenize("the union of ships") == ["the", "union", "of", "ship", "##s"]
    assert (len(tokenizer), tokenizer.model_max_length) == (len(set(VOCABULARY)), 32)


def test_a_sentence_model_stays_one(prepared: Path, tiny_model: Path, tmp_path: Path) -> None:
    given = assignment(prepared, tmp_path / "model", tiny_model)
    keys = deliver(given.course, given.output, make_network(given.course, given.pool).model)
    assert {"modules.json", "1_Pooling/config.json"} <= set(keys)
