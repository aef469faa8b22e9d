"""Copies of a corpus: found before the work, over shards and runs, and never told otherwise after."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from pipelines.errors import StoreError
from pipelines.prepare_spec import PrepareSpec
from pipelines.run.duplicates import find_duplicates, look_for_duplicates
from pipelines.run.order import Order
from pipelines.run.start import Pools
from pipelines.run.trunk import Run, open_run
from pipelines.spec import Slicing
from pipelines.stages.digests import put_digests
from pipelines.stages.read import Reading, Stretch
from pipelines.stages.tokenizer_recipe import TokenizerRecipe
from pipelines.store.location import Location
from pipelines.store.shards import list_shards
from tests.prepared import InTurn, duplicates_in_turn, prepare_in_turn
from tests.tiny import FLAT, parts, sentence, write_shard

POOLS = Pools(placement=replace(FLAT, tokenize_actors=2, tokenize_cpus=0.5))


@pytest.fixture
def spec(tiny_model: Path) -> PrepareSpec:
    return PrepareSpec(tokenizer=str(tiny_model), max_seqlen=32, sentences="lines", held_out=0.0, duplicates="drop")


def text(number: int) -> str:
    return "\n".join(sentence(100 * number + n, 3 + n % 6) for n in range(6))


def corpus(folder: Path, **shards: list[int | None]) -> None:
    """Shards of documents whose texts have these numbers; ids are the shard's letter and the row."""
    for name, numbers in shards.items():
        texts = [None if one is None else text(one) for one in numbers]
        ids = [f"{name}{row}" for row in range(len(numbers))]
        write_shard(folder / f"corpus/{name}.parquet", len(numbers), id=ids, text=texts)


def order(folder: Path, **fields: Any) -> Order:
    asked = {"job": "prepare", "documents": str(folder / "corpus"), "output": str(folder / "out"), "progress": "none"}
    return Order(**asked | {"slicing": Slicing(max_rows=3)} | fields)


def prepare(spec: PrepareSpec, folder: Path, **fields: Any) -> None:
    prepare_in_turn(spec, folder / "corpus", folder / "out", slicing=Slicing(max_rows=3), **fields)


def copies(folder: Path) -> dict[str, list[int]]:
    """What the output says, by shard's name, of the shards of today."""
    names = {shard.shard_id: shard.name.removesuffix(".parquet") for shard in list_shards(str(folder / "corpus"))}
    paths = (folder / "out/_manta/copies").glob("*.npy")
    return {names[path.stem]: np.load(path).tolist() for path in paths if path.stem in names}


def arrays(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.glob("out/_manta/*/*.npy")}


def documents(folder: Path) -> set[str]:
    """Ids of the documents that have instances."""
    return {one for (one,) in duckdb.sql(f"select distinct id from '{folder}/out/parts/*/*.parquet'").fetchall()}


def test_copies_within_a_shard_and_over_shards_are_dropped(tmp_path: Path, spec: PrepareSpec) -> None:
    corpus(tmp_path, a=[1, 2, 1, 3], b=[4, 2, None, None], c=[4, 5, 5, 5, 1])
    prepare(spec, tmp_path)
    assert copies(tmp_path) == {"a": [2], "b": [1], "c": [0, 2, 3, 4]}
    assert documents(tmp_path) == {"a0", "a1", "a3", "b0", "c1"}


def test_copies_are_kept_unless_they_are_to_be_dropped(tmp_path: Path, spec: PrepareSpec) -> None:
    corpus(tmp_path, a=[1, 2, 1], b=[2])
    prepare(replace(spec, duplicates="keep"), tmp_path)
    assert copies(tmp_path) == {"a": [2], "b": [0]}
    assert documents(tmp_path) == {"a0", "a1", "a2", "b0"}


def test_a_later_run_changes_nothing_that_was_told(tmp_path: Path, spec: PrepareSpec) -> None:
    corpus(tmp_path, b=[1, 2, 1])
    prepare(spec, tmp_path)
    before = arrays(tmp_path) | parts(tmp_path / "out")
    corpus(tmp_path, a=[3, 2, 3], c=[1, 4])  # a stands before b, but came after it
    prepare(spec, tmp_path)
    assert copies(tmp_path) == {"a": [1, 2], "b": [2], "c": [0]}
    assert documents(tmp_path) == {"a0", "b0", "b1", "c1"}
    assert (arrays(tmp_path) | parts(tmp_path / "out")).items() > before.items()


def test_copies_of_other_days_are_known_where_one_day_is_looked_at(tmp_path: Path, spec: PrepareSpec) -> None:
    days = {"2026-11-23": [1, 2], "2026-11-24": [2, 3, 1]}
    for day, numbers in days.items():
        corpus(tmp_path, **{f"date={day}/{day[-1]}": list(numbers)})
        prepare(spec, tmp_path, since=day)
    assert documents(tmp_path) == {"date=2026-11-23/30", "date=2026-11-23/31", "date=2026-11-24/41"}


def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(tmp_path: Path, spec: PrepareSpec) -> None:
    for name in ("whole", "broken"):
        corpus(tmp_path / name, a=[1, 2, 1, 3], b=[4, 2, 6, 6], c=[4, 5, 5, 1])
    for path in (tmp_path / "whole/corpus").iterdir():  # a shard's version is when it was written
        os.utime(tmp_path / "broken/corpus" / path.name, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    prepare(spec, tmp_path / "whole")
    expected = {name: list((tmp_path / f"whole/out/{name}").rglob("*.*")) for name in ("parts", "_manta/copies")}
    assert {name: len(paths) for name, paths in expected.items()} == {"parts": 6, "_manta/copies": 3}
    with pytest.raises(KeyboardInterrupt), open_run(order(tmp_path / "broken"), TokenizerRecipe.of(spec)) as run:
        look_for_duplicates(run, lambda groups: _interrupted(groups, run))
    assert copies(tmp_path / "broken") == {}
    assert len(arrays(tmp_path / "broken")) == 1
    prepare(spec, tmp_path / "broken")
    for names in (["a", "b"], ["b", "c"], ["a"]):  # some shards were told of, not the others; some parts were made
        ids = {shard.name[0]: shard.shard_id for shard in list_shards(str(tmp_path / "broken/corpus"))}
        for name in names:
            (tmp_path / f"broken/out/_manta/copies/{ids[name]}.npy").unlink()
            (tmp_path / f"broken/out/parts/{ids[name]}/0-3.parquet").unlink()
        prepare(spec, tmp_path / "broken")
        for paths in expected.values():
            for path in paths:
                other = tmp_path / "broken" / path.relative_to(tmp_path / "whole")
                assert _told(other) == _told(path)


def _interrupted(groups: list[list[Stretch]], run: Run) -> None:
    """The digests of one shard are published, and no more."""
    put_digests(groups[0][1:2], run.reading, run.output)
    raise KeyboardInterrupt


def _told(path: Path) -> Any:
    if path.suffix == ".npy":
        return np.load(path).tolist()
    return duckdb.sql(f"select id, input_ids from '{path}'").fetchall()


def test_lost_digests_are_made_again(tmp_path: Path, spec: PrepareSpec) -> None:
    corpus(tmp_path, a=[1, 2])
    prepare(spec, tmp_path)
    for path in tmp_path.glob("out/_manta/digests/*"):
        path.unlink()
    corpus(tmp_path, b=[3, 2])
    prepare(spec, tmp_path)
    assert copies(tmp_path) == {"a": [], "b": [1]}


def test_the_first_one_may_be_in_a_shard_that_vanished_and_is_kept(tmp_path: Path, spec: PrepareSpec) -> None:
    corpus(tmp_path, a=[1, 2], b=[3])
    prepare(spec, tmp_path)
    (tmp_path / "corpus/a.parquet").unlink()
    corpus(tmp_path, c=[2])
    prepare(spec, tmp_path)
    assert copies(tmp_path) == {"b": [], "c": [0]}


def test_what_is_known_of_a_shard_leaves_with_its_parts(tmp_path: Path, spec: PrepareSpec) -> None:
    corpus(tmp_path, a=[1, 2], b=[3])
    prepare(spec, tmp_path)
    (tmp_path / "corpus/a.parquet").unlink()
    corpus(tmp_path, c=[2])
    prepare(spec, tmp_path, removed="drop")
    assert copies(tmp_path) == {"b": [], "c": []}
    assert documents(tmp_path) == {"b0", "c0"}
    assert len(arrays(tmp_path)) == 4


def test_a_shard_that_changed_is_no_copy_of_itself(tmp_path: Path, spec: PrepareSpec) -> None:
    """Nor of what was a copy of its version before: that one's instances have left, the copy never had any."""
    corpus(tmp_path, a=[1, 2], b=[1, 3])
    prepare(spec, tmp_path)
    assert copies(tmp_path) == {"a": [], "b": [0]}
    corpus(tmp_path, a=[1, 2, 3, 4])
    prepare(spec, tmp_path)
    assert copies(tmp_path) == {"a": [2], "b": [0]}
    assert documents(tmp_path) == {"a0", "a1", "a3", "b1"}


def test_nothing_is_a_copy_of_what_is_never_taken(tmp_path: Path, spec: PrepareSpec) -> None:
    corpus(tmp_path, a=[1, 1, 2], b=[1, 2, 2])
    prepare(replace(spec, weights={"a.parquet": 0}), tmp_path)
    assert copies(tmp_path) == {"b": [2]}
    assert documents(tmp_path) == {"b0", "b1"}


def test_a_limit_tells_of_the_shards_within_it(tmp_path: Path, spec: PrepareSpec) -> None:
    corpus(tmp_path, a=[1, 2, 1], b=[1])
    prepare(spec, tmp_path, limit=2)
    assert copies(tmp_path) == {"a": [2]}
    prepare(spec, tmp_path)
    assert copies(tmp_path) == {"a": [2], "b": [0]}
    assert documents(tmp_path) == {"a0", "a1"}


def test_what_is_counted(tmp_path: Path, spec: PrepareSpec) -> None:
    corpus(tmp_path, a=[1, 2, 1, 1, None], b=[2, 3])
    found = {}
    for duplicates in ("keep", "drop"):
        asked = replace(spec, duplicates=duplicates)  # type: ignore[arg-type]
        with open_run(order(tmp_path, output=str(tmp_path / duplicates)), TokenizerRecipe.of(asked)) as run:
            duplicates_in_turn(run)
            run.follow(InTurn(run, TokenizerRecipe.of(asked)), FLAT)  # type: ignore[arg-type]
            stats = run.tally.stats
        found[duplicates] = [
            int(stats[f"instances.{name}"]) for name in ("documents", "duplicates", "dropped_documents")
        ]
    assert found == {"keep": [6, 3, 0], "drop": [6, 3, 3]}


def test_many_passes_find_the_same(tmp_path: Path, spec: PrepareSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.run.duplicates.MOST_DIGESTS", 4)
    monkeypatch.setattr("pipelines.run.duplicates.AT_A_TIME", 2)
    corpus(tmp_path, a=[1, 2, 1, 3], b=[4, 2, 6], c=[4, 5, 5, 5, 1])
    with open_run(order(tmp_path), TokenizerRecipe.of(spec)) as run:
        duplicates_in_turn(run)
    assert copies(tmp_path) == {"a": [2], "b": [1], "c": [0, 2, 3, 4]}


def test_tasks_give_the_same(ray_session: None, tmp_path: Path, spec: PrepareSpec) -> None:
    many = {f"s{n}": [n % 3, 10 + n, n] for n in range(3, 7)}
    corpus(tmp_path, a=[1, 2, 1, 0], **many)  # type: ignore[arg-type]
    found = []
    for name, find in (("one", duplicates_in_turn), ("two", lambda run: find_duplicates(run, POOLS))):
        with open_run(order(tmp_path, output=str(tmp_path / name)), TokenizerRecipe.of(spec)) as run:
            find(run)
        found.append({path.name: path.read_bytes() for path in (tmp_path / name / "_manta/copies").iterdir()})
    assert found[0] == found[1]
    assert len(found[0]) == 5


def test_a_task_that_was_killed_is_done_again(
    ray_session: None, tmp_path: Path, spec: PrepareSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, mark = put_digests, tmp_path / "killed"

    def killed_once(shards: list[Stretch], reading: Reading, output: Location) -> None:
        put(shards[:1], reading, output)
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        put(shards[1:], reading, output)

    monkeypatch.setattr("pipelines.run.duplicates.put_digests", killed_once)
    corpus(tmp_path, a=[1, 2, 1], b=[2])
    with open_run(order(tmp_path), TokenizerRecipe.of(spec)) as run:
        find_duplicates(run, POOLS)
    assert mark.exists()
    assert copies(tmp_path) == {"a": [2], "b": [0]}


def test_what_a_task_can_t_do_ends_the_run(
    ray_session: None, tmp_path: Path, spec: PrepareSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(shards: list[Stretch], reading: Reading, output: Location) -> None:
        raise StoreError("the disk is full")

    def dies(shards: list[Stretch], reading: Reading, output: Location) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr("pipelines.run.duplicates.MOST_RETRIES", 0)
    corpus(tmp_path, a=[1, 2, 1], b=[2])
    for task, words in ((fails, "the disk is full"), (dies, r"died 1 times \(WorkerCrashedError\)")):
        monkeypatch.setattr("pipelines.run.duplicates.put_digests", task)
        with open_run(order(tmp_path), TokenizerRecipe.of(spec)) as run, pytest.raises(StoreError, match=words):
            find_duplicates(run, POOLS)
    assert arrays(tmp_path) == {}
