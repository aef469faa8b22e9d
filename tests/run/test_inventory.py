"""What is there before a run, told without touching it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import FingerprintError
from pipelines.run.ground import survey
from pipelines.run.inventory import Inventory
from pipelines.run.order import Order
from pipelines.spec import EmbedSpec, Slicing
from pipelines.stages.recipe import Recipe
from pipelines.store.output import agree
from tests.tiny import embed_in_turn, listing, write_shard

FOUR = Slicing(max_rows=4)


def inventory(spec: EmbedSpec, folder: Path) -> Inventory:
    order = Order(job="embed", documents=str(folder / "corpus"), output=str(folder / "vectors"), slicing=FOUR)
    return Inventory(survey(order, Recipe.of(spec), agree))


def todo(found: Inventory) -> list[tuple[str, int, int]]:
    return [(one.shard.name, one.first_row, one.stop_row) for one in found.plan.stretches]


def test_before_the_first_run_all_is_to_do_and_nothing_is_written(tiny_model: Path, tmp_path: Path) -> None:
    write_shard(tmp_path / "corpus/a.parquet", 10)
    found = inventory(EmbedSpec(model=str(tiny_model)), tmp_path)
    assert todo(found) == [("a.parquet", 0, 10)]
    assert (found.plan.num_slices, found.ground.slicing) == (3, FOUR)
    assert not (tmp_path / "vectors").exists()


def test_after_a_run_what_came_since_is_to_do_and_nothing_is_touched(tiny_model: Path, tmp_path: Path) -> None:
    spec = EmbedSpec(model=str(tiny_model))
    write_shard(tmp_path / "corpus/a.parquet", 10)
    embed_in_turn(spec, tmp_path / "corpus", tmp_path / "vectors", slicing=FOUR)
    assert todo(inventory(spec, tmp_path)) == []
    write_shard(tmp_path / "corpus/b.parquet", 3, first=10)
    (tmp_path / "corpus/c.parquet").write_bytes(b"no Parquet")
    before = listing(tmp_path)
    found = inventory(spec, tmp_path)
    assert todo(found) == [("b.parquet", 0, 3)]
    assert list(found.books.new_set_aside) == [found.ground.shards[2].shard_id]
    with pytest.raises(FingerprintError, match="pooling"):
        inventory(EmbedSpec(model=str(tiny_model), pooling="cls"), tmp_path)
    assert listing(tmp_path) == before
