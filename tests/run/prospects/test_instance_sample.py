"""A sample that is the whole corpus tells what the run makes; the rest is seen in test_instance_prospect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.prepare_spec import PrepareSpec
from pipelines.run.ground import survey
from pipelines.run.order import Order
from pipelines.run.prospects.instance_sample import SampledInstances, sample_instances
from pipelines.run.prospects.inventory import Inventory
from pipelines.stages.tokenizer_recipe import TokenizerRecipe
from pipelines.store.output import agree
from tests.tiny import sentence, write_shard


def documents(count: int, first: int = 0) -> list[str]:
    """Six lines each, of 3 to 8 words."""
    return ["\n".join(sentence(100 * number + n, 3 + n) for n in range(6)) for number in range(first, first + count)]


def sampled(model: Path, folder: Path, **fields: Any) -> SampledInstances:
    asked = {"tokenizer": str(model), "max_seqlen": 32, "sentences": "lines", "held_out": 0.0}
    recipe = TokenizerRecipe.of(PrepareSpec(**asked | fields))
    order = Order(job="prepare", documents=str(folder / "corpus"), output=str(folder / "out"))
    found = Inventory(survey(order, recipe, agree))
    return sample_instances(found.plan.stretches, found.ground.reading, recipe)


def test_documents_sentences_and_instances(tiny_model: Path, tmp_path: Path) -> None:
    """33 words a document, 330 in all, of which an instance has 30 or fewer, as sentences are whole."""
    write_shard(tmp_path / "corpus/a.parquet", 8, text=[*documents(6), None, ""])
    write_shard(tmp_path / "corpus/b.parquet", 4, first=8, text=documents(4, 50))
    found = sampled(tiny_model, tmp_path, objective="mlm")
    assert (found.num_documents, found.num_dead_letters) == (12, 1)
    assert found.counts is not None
    assert (found.counts.documents, found.counts.empty_documents) == (11, 1)
    assert (found.counts.sentences, found.counts.sentence_tokens) == (60, 330)
    assert found.counts.train == found.rows.num_rows
    assert 11 <= found.counts.train <= 15
    assert found.places[:, 0].tolist() == [8, 4]
    assert found.places[:, 1].sum() == found.counts.train_tokens
    assert found.seconds > 0


def test_what_is_held_out_is_told_apart(tiny_model: Path, tmp_path: Path) -> None:
    write_shard(tmp_path / "corpus/a.parquet", 60, text=documents(60))
    found = sampled(tiny_model, tmp_path, held_out=0.3)
    assert found.counts is not None
    assert found.counts.held_out_documents == pytest.approx(18, abs=10)
    assert found.rows.num_rows == found.counts.train + found.counts.held_out
    assert found.counts.held_out > 10


def test_shards_count_by_their_weights(tiny_model: Path, tmp_path: Path) -> None:
    """Of a shard of weight 0 there is nothing, of one of 2 as much again."""
    for name in "abc":
        write_shard(tmp_path / f"corpus/{name}.parquet", 10, text=documents(10))
    plain = sampled(tiny_model, tmp_path)
    found = sampled(tiny_model, tmp_path, weights={"a*": 0, "b*": 2})
    assert plain.counts is not None
    assert found.counts is not None
    assert found.counts.weighted_out_documents == 10
    assert found.counts.documents == plain.counts.documents == 30
    a, c, b = found.places[:, 1].tolist()  # by weight
    assert a == 0
    assert b == pytest.approx(2 * c, rel=0.2)


def test_of_nothing_nothing_is_told(tiny_model: Path, tmp_path: Path) -> None:
    write_shard(tmp_path / "corpus/a.parquet", 0, id=pa.array([], pa.int64()), text=pa.array([], pa.string()))
    found = sampled(tiny_model, tmp_path)
    assert (found.num_documents, found.counts, found.tokens_error, found.rows.num_rows) == (0, None, 0.0, 0)
