"""What is there before a run, told without touching it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import FingerprintError
from pipelines.run.ground import survey
from pipelines.run.order import Order
from pipelines.run.prospects.inventory import Inventory
from pipelines.run.report import Report
from pipelines.spec import EmbedSpec, Slicing
from pipelines.stages.recipe import Recipe
from pipelines.store.output import agree
from tests.tiny import embed_in_turn, listing, rows, write_shard

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


def test_what_lies_beyond_the_days_asked_for_stays_as_it_is(tiny_model: Path, tmp_path: Path) -> None:
    spec = EmbedSpec(model=str(tiny_model))
    days = {day: tmp_path / f"corpus/date=2026-11-{day}/a.parquet" for day in (22, 23, 24)}
    for day, path in days.items():
        write_shard(path, 6, 100 * day)

    def run(**asked: Any) -> Report:
        return embed_in_turn(spec, tmp_path / "corpus", tmp_path / "vectors", slicing=FOUR, **asked)

    def numbers() -> Counter[int]:
        return Counter(row["id"] // 100 for row in rows(tmp_path / "vectors"))

    assert run(since="2027-01-01").slices == 0  # also in a new output
    assert run(since="2026-11-23", until="2026-11-24").rows == 6
    assert run(until="2026-11-23").rows == 6
    assert numbers() == {22: 6, 23: 6}
    write_shard(days[22], 5, 2200)  # changed
    days[23].unlink()
    beyond = run(since="2026-11-24", removed="drop")
    assert (beyond.rows, beyond.corpus.changed, beyond.corpus.vanished, beyond.corpus.parts_removed) == (6, 0, 0, 0)
    assert numbers() == {22: 6, 23: 6, 24: 6}
    assert run(since="2026-11-23", removed="drop").corpus.vanished == 1
    assert numbers() == {22: 6, 24: 6}
    assert run().corpus.changed == 1
    assert numbers() == {22: 5, 24: 6}
