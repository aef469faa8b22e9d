"""A sample that is the whole corpus tells it all; what it tells of a larger one is seen in test_prospect."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa

from pipelines.run.ground import survey
from pipelines.run.order import Order
from pipelines.run.prospects.inventory import Inventory
from pipelines.run.prospects.sampled import Sampled, take_sample
from pipelines.spec import EmbedSpec
from pipelines.stages.recipe import Recipe
from pipelines.store.output import agree
from tests.tiny import sentence, write_shard

TEXTS = [sentence(0, 7), None, sentence(1, 60), sentence(2, 3)]
"""Of 9 tokens, none, 62 and 5, [CLS] and [SEP] included; the model takes 32."""


def sampled(model: Path, folder: Path, stop: Event | None = None, **spec: Any) -> Sampled:
    write_shard(folder / "corpus/a.parquet", 4, text=pa.array(TEXTS, pa.string()))
    write_shard(folder / "corpus/b.parquet", 2, first=4, text=["the king", "the king"])
    order = Order(job="embed", documents=str(folder / "corpus"), output=str(folder / "vectors"))
    recipe = Recipe.of(EmbedSpec(model=str(model), **spec))
    found = Inventory(survey(order, recipe, agree))
    return take_sample(found.plan.stretches, found.ground.reading, recipe, stop)


def test_documents_tokens_and_what_is_cut(tiny_model: Path, tmp_path: Path) -> None:
    found = sampled(tiny_model, tmp_path)
    assert (found.num_documents, found.num_dead_letters, found.num_truncated) == (6, 1, 1)
    assert found.lengths.tolist() == [9, 32, 5, 4, 4]
    assert sorted(found.document_lengths.tolist()) == [4, 4, 5, 9, 62]
    assert found.places.tolist() == [[4, 46], [2, 8]]
    assert found.tokens == 54
    assert found.tokens_error > 0.5
    assert found.tokenizer_tokens_per_second > 0


def test_chunks_of_long_documents(tiny_model: Path, tmp_path: Path) -> None:
    """60 words in windows of 30, with 10 shared: from 0, 20 and 40 on."""
    found = sampled(tiny_model, tmp_path, overlong="chunk", stride=10)
    assert found.lengths.tolist() == [9, 32, 32, 22, 5, 4, 4]
    assert sorted(found.document_lengths.tolist()) == [4, 4, 5, 9, 62]
    assert (found.num_documents, found.num_truncated) == (6, 0)


def test_a_sample_that_is_not_wanted_any_more_ends(tiny_model: Path, tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    assert sampled(tiny_model, tmp_path, stop).num_documents == 0
