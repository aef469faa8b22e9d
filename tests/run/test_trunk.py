"""Runs, one stage after another in this process: exactly once, resumable, nothing lost, nothing told twice."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import FingerprintError, LeaseError, ShardError, SpecError, StoreError
from pipelines.run.local import Encoder
from pipelines.run.order import Order
from pipelines.run.trunk import open_run
from pipelines.spec import EmbedSpec, Slicing
from pipelines.stages.recipe import Recipe
from pipelines.store.location import locate
from pipelines.store.manifest import KEY, read_manifest
from pipelines.store.parts import list_parts, read_dead_letters, read_part_counts
from tests import hostile
from tests.tiny import FLAT, InTurn, embed_in_turn, listing, parts, rows, sentence, write_shard

FOUR = Slicing(max_rows=4)


@pytest.fixture(scope="module")
def spec(tiny_model: Path) -> EmbedSpec:
    return EmbedSpec(model=str(tiny_model), precision="float32")


@pytest.fixture(scope="module")
def done(spec: EmbedSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of two shards, 10 and 3 rows, embedded; copy it before changing it."""
    folder = tmp_path_factory.mktemp("done")
    write_shard(folder / "corpus/a.parquet", 10)
    write_shard(folder / "corpus/b.parquet", 3, first=100)
    report = run(spec, folder)
    assert (report.exit_code, report.documents, report.rows, report.corpus.parts_added) == (0, 13, 13, 4)
    return folder


@pytest.fixture
def again(done: Path, tmp_path: Path) -> Path:
    """The same, to be changed: files keep their times, which are their versions."""
    return Path(shutil.copytree(done, tmp_path / "again"))


def run(spec: EmbedSpec, folder: Path, **order: Any) -> Any:
    asked = {"slicing": FOUR, "documents": folder / "corpus", "output": folder / "vectors"} | order
    return embed_in_turn(spec, **asked)


def manifest_keys(folder: Path) -> list[str]:
    return sorted(read_manifest(locate(str(folder / "vectors"))).live_parts()["part"].to_pylist())


def agrees(folder: Path) -> bool:
    """Whether manifest and listing tell of the same parts."""
    return manifest_keys(folder) == sorted(parts(folder / "vectors"))


def changes(folder: Path, run_id: str) -> tuple[int, int]:
    came, went = read_manifest(locate(str(folder / "vectors"))).changes(run_id)
    return came.num_rows, went.num_rows


def test_vectors_are_those_of_the_encoder_for_ones_own_use(done: Path, spec: EmbedSpec) -> None:
    found = {row["id"]: row["embedding"] for row in rows(done / "vectors")}
    assert sorted(found) == [*range(10), 100, 101, 102]
    expected = Encoder(spec).encode([sentence(n) for n in found])
    np.testing.assert_allclose(np.array(list(found.values())), expected, atol=1e-6)
    assert agrees(done)


def test_footers_say_how_a_part_was_made(done: Path, spec: EmbedSpec) -> None:
    recipe = Recipe.of(spec)
    names = {
        "model",
        "model_hash",
        "pooling",
        "normalize",
        "prompt",
        "max_seqlen",
        "dim",
        "precision",
        "output_dtype",
        "fingerprint",
        "source",
    }
    for path in [*(done / "vectors").glob("parts/*/*.parquet"), done / "vectors" / KEY]:
        metadata = {key.decode(): value.decode() for key, value in pq.read_schema(path).metadata.items()}
        told = {key.removeprefix("manta."): value for key, value in metadata.items() if key.startswith("manta.")}
        assert names <= told.keys()
        assert (told["model_hash"], told["pooling"], told["normalize"]) == (recipe.model.hash, "mean", "True")
        assert (told["dim"], told["max_seqlen"], told["precision"]) == ("32", "32", "float32")
        assert told["source"] == str(done / "corpus")


def test_again_is_nothing_to_do_and_nothing_is_written(again: Path, spec: EmbedSpec) -> None:
    before = listing(again)
    report = run(spec, again)
    assert (report.exit_code, report.documents, report.placement) == (0, 0, None)
    assert listing(again) == before


def test_progress_ends_before_the_report_is_shown(
    again: Path, spec: EmbedSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(again / "corpus/c.parquet", 4, first=200)
    with open_run(ordered(again, progress="json"), Recipe.of(spec)) as ours:
        ours.follow(InTurn(ours, Recipe.of(spec)), FLAT)
        ours.finish()
        last = capsys.readouterr().err.splitlines()[-1]
    assert json.loads(last) | {"seconds": 0} == {
        "phase": "commit", "seconds": 0, "documents": 4, "total_documents": 4, "slices": 1, "total_slices": 1,
        "tokens": 36, "tokens_per_second": 0.0, "dead_letters": 0, "seconds_left": None, "waiting": "", "last": True,
        "unit": "slices",
    }  # fmt: skip
    assert capsys.readouterr().err == ""


def test_a_new_shard_alone_is_done(again: Path, spec: EmbedSpec) -> None:
    before = parts(again / "vectors")
    write_shard(again / "corpus/c.parquet", 5, first=200)
    report = run(spec, again)
    assert (report.documents, report.corpus.parts_added, report.corpus.parts_removed) == (5, 2, 0)
    after = parts(again / "vectors")
    assert len(after) == len(before) + 2
    assert after | before == after
    assert agrees(again)


def test_a_new_shard_without_rows_is_remembered(again: Path, spec: EmbedSpec) -> None:
    write_shard(again / "corpus/c.parquet", 0)
    assert run(spec, again).exit_code == 0
    known = read_manifest(locate(str(again / "vectors"))).shards().values()
    assert sorted((shard.name, shard.num_rows) for shard in known) == [
        ("a.parquet", 10),
        ("b.parquet", 3),
        ("c.parquet", 0),
    ]
    before = listing(again)
    run(spec, again)
    assert listing(again) == before


def test_a_changed_shard_is_done_again_and_its_old_parts_leave(again: Path, spec: EmbedSpec) -> None:
    before = parts(again / "vectors")
    write_shard(again / "corpus/a.parquet", 6, first=50)
    report = run(spec, again)
    assert (report.documents, report.corpus.changed) == (6, 1)
    assert changes(again, report.run) == (2, 3)
    assert len(before.keys() & parts(again / "vectors").keys()) == 1
    assert sorted(row["id"] for row in rows(again / "vectors")) == [*range(50, 56), 100, 101, 102]
    assert agrees(again)


def test_a_vanished_shard_is_kept_or_dropped(again: Path, spec: EmbedSpec) -> None:
    before = listing(again / "vectors")
    (again / "corpus/a.parquet").unlink()
    kept = run(spec, again)
    assert (kept.exit_code, kept.corpus.vanished, kept.corpus.parts_kept) == (0, 1, 3)
    assert listing(again / "vectors") == before
    dropped = run(spec, again, removed="drop")
    assert (dropped.exit_code, dropped.corpus.parts_removed, dropped.corpus.parts_kept) == (0, 3, 0)
    assert changes(again, dropped.run) == (0, 3)
    assert sorted(row["id"] for row in rows(again / "vectors")) == [100, 101, 102]
    assert agrees(again)


def test_another_spec_is_refused_and_nothing_touched(again: Path, spec: EmbedSpec) -> None:
    before = listing(again)
    with pytest.raises(FingerprintError, match=r"\{fingerprint\}"):
        run(replace(spec, normalize=False), again)
    assert listing(again) == before


def test_a_trial_and_then_the_rest(again: Path, spec: EmbedSpec) -> None:
    shutil.rmtree(again / "vectors")
    trial = run(spec, again, limit=6)
    assert (trial.documents, trial.corpus.parts_added, trial.corpus.documents_left_out) == (6, 2, 7)
    assert run(spec, again, limit=6).documents == 0
    rest = run(spec, again)
    assert (rest.documents, rest.corpus.documents_left_out) == (7, 0)
    assert sorted(row["id"] for row in rows(again / "vectors")) == [*range(10), 100, 101, 102]


def test_a_lost_manifest_is_made_anew(again: Path, spec: EmbedSpec) -> None:
    before, keys = parts(again / "vectors"), manifest_keys(again)
    (again / "vectors" / KEY).unlink()
    report = run(spec, again)
    assert (report.documents, report.corpus.parts_added) == (0, 4)
    assert parts(again / "vectors") == before
    assert manifest_keys(again) == keys


def test_a_lost_manifest_loses_no_vanished_shard(again: Path, spec: EmbedSpec) -> None:
    keys = manifest_keys(again)
    (again / "vectors" / KEY).unlink()
    (again / "corpus/a.parquet").unlink()
    report = run(spec, again)
    assert (report.documents, report.corpus.parts_added, report.corpus.parts_kept) == (0, 4, 3)
    assert manifest_keys(again) == keys
    known = read_manifest(locate(str(again / "vectors"))).shards().values()
    assert sorted(shard.name for shard in known) == ["a.parquet", "b.parquet"]
    before = listing(again)
    assert run(spec, again).corpus.vanished == 1
    assert listing(again) == before
    run(spec, again, removed="drop")
    assert sorted(row["id"] for row in rows(again / "vectors")) == [100, 101, 102]


def test_a_lost_manifest_does_not_bring_a_changed_shard_back(again: Path, spec: EmbedSpec) -> None:
    (again / "vectors" / KEY).unlink()
    write_shard(again / "corpus/a.parquet", 2, first=50)
    run(spec, again)
    assert sorted(row["id"] for row in rows(again / "vectors")) == [50, 51, 100, 101, 102]
    assert agrees(again)


def test_a_part_deleted_by_hand_is_made_again_alike(again: Path, done: Path, spec: EmbedSpec) -> None:
    first = next((again / "vectors").glob("parts/*/4-4.parquet"))
    first.unlink()
    report = run(spec, again, documents=done / "corpus")
    assert (report.documents, report.corpus.parts_added, report.corpus.parts_removed) == (4, 1, 1)
    assert parts(again / "vectors") == parts(done / "vectors")
    assert agrees(again)


def test_parts_of_a_run_that_did_not_come_to_its_commit_are_adopted(again: Path, spec: EmbedSpec) -> None:
    keys = manifest_keys(again)
    shutil.rmtree(again / "vectors")
    with open_run(ordered(again), Recipe.of(spec)) as mine:
        mine.follow(InTurn(mine, Recipe.of(spec)), FLAT)
        (again / "vectors/_manta/lease.json").write_text("{}")  # somebody took it
        with pytest.raises(LeaseError, match="nothing was committed"):
            mine.finish()
    assert not (again / "vectors" / KEY).exists()
    made = parts(again / "vectors")
    (again / "vectors/_manta/lease.json").unlink()
    report = run(spec, again)
    assert (report.documents, report.placement, report.corpus.parts_added) == (0, None, 4)
    assert parts(again / "vectors") == made
    assert manifest_keys(again) == keys


def ordered(folder: Path, **order: Any) -> Order:
    asked = {"documents": str(folder / "corpus"), "output": str(folder / "vectors"), "slicing": FOUR}
    return Order(**{"job": "embed", "progress": "none", **asked, **order})


def test_what_a_killed_run_left_to_be_deleted_goes_with_the_next(again: Path, spec: EmbedSpec) -> None:
    old = next((again / "vectors").glob("parts/*/8-2.parquet"))
    kept = old.read_bytes()
    write_shard(again / "corpus/a.parquet", 6, first=50)
    run(spec, again)
    old.parent.mkdir()
    old.write_bytes(kept)  # as if the run had been killed between commit and sweep
    report = run(spec, again)
    assert (report.exit_code, report.documents) == (0, 0)
    assert not old.exists()
    assert agrees(again)


def test_two_runs_at_once(again: Path, spec: EmbedSpec) -> None:
    with open_run(ordered(again), Recipe.of(spec)), pytest.raises(LeaseError, match="is held by run"):
        run(spec, again)
    assert LeaseError.exit_code == 4


def test_a_slice_that_does_not_come_back_is_no_silent_loss(again: Path, spec: EmbedSpec) -> None:
    write_shard(again / "corpus/c.parquet", 9, first=200)
    before = (again / "vectors" / KEY).read_bytes()
    with open_run(ordered(again), Recipe.of(spec)) as ours:
        receipts = list(InTurn(ours, Recipe.of(spec)).iter_batches(batch_size=None, batch_format="pyarrow"))
        assert len(receipts) == ours.plan.num_slices == 3
        some = SimpleNamespace(iter_batches=lambda **_: iter(receipts[:-1]))
        with pytest.raises(StoreError, match="9 documents went in and 8 came back: nothing was committed"):
            ours.follow(some, FLAT)
    assert (again / "vectors" / KEY).read_bytes() == before
    report = run(spec, again)
    assert (report.exit_code, report.documents, report.corpus.parts_added) == (0, 0, 3)  # all are there after all


@pytest.fixture(scope="module")
def odd(spec: EmbedSpec, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The hostile corpus, embedded, and the report."""
    folder = tmp_path_factory.mktemp("odd")
    hostile.write(folder / "corpus")
    return folder, run(spec, folder)


def test_rows_in_are_rows_out_and_dead_letters(odd: tuple[Path, Any]) -> None:
    folder, report = odd
    output = locate(str(folder / "vectors"))
    read = [pq.read_schema(path).metadata for path in (folder / "vectors").glob("parts/*/*.parquet")]
    found = Counter[str]()
    for metadata in read:
        found[metadata[b"shard"].decode()] += int(metadata[b"num_rows"])
    assert dict.fromkeys(hostile.ROWS, 0) | found == hostile.ROWS
    assert report.rows == sum(hostile.ROWS.values()) == len(rows(folder / "vectors"))
    assert report.documents == report.rows + len(hostile.DEAD)
    for part in list_parts(output):
        documents, num_rows, dead = read_part_counts(output, part)
        assert documents == num_rows + dead == part.num_documents
    letters = read_dead_letters(output, [part.key for part in list_parts(output)]).to_pylist()
    assert {(letter["row"], letter["stage"], letter["reason"]) for letter in letters} == hostile.DEAD
    assert len(letters) == len(hostile.DEAD) == report.num_dead_letters
    assert Counter(letter["shard"] for letter in letters) == {"a-odd.parquet": 4, "c-untyped.parquet": 1}
    assert all(np.isfinite(row["embedding"]).all() for row in rows(folder / "vectors"))
    assert {pq.read_schema(path).field("id").type for path in folder.glob("vectors/parts/*/*.parquet")} == {pa.int64()}


def test_bad_shards_are_set_aside_by_name_once_for_each_version(
    odd: tuple[Path, Any], spec: EmbedSpec, tmp_path: Path
) -> None:
    folder, report = odd
    folder = Path(shutil.copytree(folder, tmp_path / "odd"))
    assert report.exit_code == 3
    assert report.corpus.set_aside.keys() == hostile.SET_ASIDE.keys()
    for name, words in hostile.SET_ASIDE.items():
        assert words in report.corpus.set_aside[name], name
    before = listing(folder)
    second = run(spec, folder)
    assert (second.exit_code, second.documents, second.corpus.set_aside_before) == (0, 0, len(hostile.SET_ASIDE))
    assert listing(folder) == before
    write_shard(folder / "corpus/x-corrupt.parquet", 5, first=600)  # mended: another version
    (folder / "corpus/y-truncated.parquet").write_bytes(b"still no Parquet")
    third = run(spec, folder)
    assert (third.exit_code, third.documents, list(third.corpus.set_aside)) == (3, 5, ["y-truncated.parquet"])
    assert (third.corpus.changed, third.corpus.set_aside_before) == (2, len(hostile.SET_ASIDE) - 2)
    assert run(spec, folder).exit_code == 0


@pytest.mark.parametrize("old", ["stay", "leave"])
def test_new_shards_that_are_all_bad_are_set_aside_where_there_is_an_output(
    again: Path, spec: EmbedSpec, old: str
) -> None:
    before = parts(again / "vectors")
    if old == "leave":  # of today's corpus no shard can be used
        shutil.rmtree(again / "corpus")
    write_shard(again / "corpus/x.parquet", 5, text=pa.array([1] * 5))
    (again / "corpus/y.parquet").write_bytes(b"no Parquet")
    report = run(spec, again)
    assert (report.exit_code, report.documents) == (3, 0)
    assert report.corpus.set_aside["x.parquet"] == "column 'text' is int64: text must be string or large_string"
    assert report.corpus.set_aside["y.parquet"].startswith("y.parquet can't be read as Parquet")
    assert parts(again / "vectors") == before
    assert agrees(again)
    second = run(spec, again)
    assert (second.exit_code, second.corpus.set_aside, second.corpus.set_aside_before) == (0, {}, 2)


def test_no_text_is_told(odd: tuple[Path, Any]) -> None:
    folder, report = odd
    assert hostile.leaks(folder / "vectors") == []
    assert hostile.CANARY not in report.to_json()
    assert hostile.leaks(folder) != []  # the search finds what there is to find


def test_dead_letters_are_retried_on_request(odd: tuple[Path, Any], spec: EmbedSpec, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(odd[0], tmp_path / "odd"))
    before = parts(folder / "vectors")
    report = run(spec, folder, retry_dead_letters=True, documents=odd[0] / "corpus", max_dead_letters=1)
    assert report.documents == 13  # the three slices of a-odd, in each of which is a dead letter, and c-untyped's
    assert report.num_dead_letters == len(hostile.DEAD)
    assert report.corpus.set_aside.keys() == hostile.SET_ASIDE.keys()  # these were tried again too
    assert (report.exit_code, report.corpus.parts_added, report.corpus.parts_removed) == (3, 0, 0)
    assert parts(folder / "vectors") == before  # the same dead letters: the same bytes, and so the same versions
    assert agrees(folder)


def test_a_cured_part_has_no_dead_letters_left(again: Path, spec: EmbedSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    run(spec, again)  # the gate is passed
    monkeypatch.setattr("pipelines.model.loop.refusals", lambda *_: {1: "a passing fault"})
    shutil.rmtree(again / "vectors")
    assert run(spec, again).num_dead_letters == 4
    monkeypatch.undo()
    report = run(spec, again, retry_dead_letters=True)
    assert (report.documents, report.rows, report.exit_code) == (13, 13, 0)
    assert list((again / "vectors").glob("_manta/dead_letters/*/*")) == []
    assert sorted(row["id"] for row in rows(again / "vectors")) == [*range(10), 100, 101, 102]


def test_a_run_that_goes_wrong_wholesale_is_stopped(tmp_path: Path, spec: EmbedSpec) -> None:
    texts = [None if n % 2 else "the king" for n in range(2000)]
    write_shard(tmp_path / "corpus/a.parquet", 2000, text=texts)
    with pytest.raises(
        ShardError, match=r"500 of 1000 documents .* more than --max_dead_letters 0.05, most of them"
    ) as found:
        run(spec, tmp_path, slicing=Slicing(max_rows=100))
    assert "read: the text is null" in str(found.value)
    assert len(parts(tmp_path / "vectors")) == 10
    rest = run(spec, tmp_path, slicing=Slicing(max_rows=100), max_dead_letters=0.5)
    assert (rest.exit_code, rest.documents, rest.corpus.parts_added) == (0, 1000, 20)


def test_a_small_run_with_too_many_dead_letters_is_red(tmp_path: Path, spec: EmbedSpec) -> None:
    write_shard(tmp_path / "corpus/a.parquet", 4, text=["a", "b", "c", None])
    assert run(spec, tmp_path, max_dead_letters=0.2).exit_code == 3
    assert run(spec, tmp_path, max_dead_letters=0.2).exit_code == 0


def test_several_texts_passed_columns_and_made_ids(tmp_path: Path, spec: EmbedSpec) -> None:
    table = pa.table({"title": ["the king", None], "body": ["bread", "wind"], "tags": [["a"], []], "year": [1, None]})
    (tmp_path / "corpus/deep").mkdir(parents=True)
    pq.write_table(table, tmp_path / "corpus/deep/a.parquet")
    ours = replace(spec, text=["title", "body"], separator=" of ", passthrough=["year", "tags"])
    run(ours, tmp_path)
    one, two = rows(tmp_path / "vectors")
    assert list(one) == ["id", "embedding", "num_tokens", "truncated", "year", "tags"]
    assert [(row["id"], row["year"], row["tags"]) for row in (one, two)] == [
        ("deep/a.parquet:0", 1, ["a"]),
        ("deep/a.parquet:1", None, []),
    ]
    expected = Encoder(spec).encode(["the king of bread", "wind"])
    np.testing.assert_allclose([one["embedding"], two["embedding"]], expected, atol=1e-6)


def test_a_passed_text_that_is_no_utf8_costs_its_row_and_not_the_part(tmp_path: Path, spec: EmbedSpec) -> None:
    names = pa.array([b"one", b"latin-1 caf\xe9", b"three", None], pa.binary())
    unchecked = pa.Array.from_buffers(pa.string(), 4, names.buffers())
    write_shard(tmp_path / "corpus/a.parquet", 4, name=unchecked)
    report = run(replace(spec, passthrough=["name"]), tmp_path, max_dead_letters=1)
    assert (report.exit_code, report.documents, report.rows, report.num_dead_letters) == (0, 4, 3, 1)
    found = duckdb.sql(f"select id, name from '{tmp_path}/vectors/parts/*/*.parquet' order by id").fetchall()
    assert found == [(0, "one"), (2, "three"), (3, None)]
    (letter,) = read_dead_letters(locate(str(tmp_path / "vectors")), parts(tmp_path / "vectors")).to_pylist()
    assert (letter["row"], letter["reason"]) == (1, "column 'name' is not valid UTF-8")


def test_chunks_are_the_vectors_of_their_windows(tmp_path: Path, spec: EmbedSpec) -> None:
    texts = [sentence(n, 9 * n + 1) for n in range(6)] + [""]
    write_shard(tmp_path / "corpus/a.parquet", 7, text=texts)
    chunked = replace(spec, overlong="chunk", max_seqlen=20, stride=3)
    report = run(chunked, tmp_path)
    found = rows(tmp_path / "vectors")
    assert report.documents == 7
    assert report.rows == len(found) > 7
    windows = [texts[row["id"]][row["char_start"] : row["char_end"]] for row in found]
    np.testing.assert_allclose([row["embedding"] for row in found], Encoder(spec).encode(windows), atol=1e-5)
    for number, text in enumerate(texts):
        mine = [row for row in found if row["id"] == number]
        assert [row["chunk_index"] for row in mine] == list(range(len(mine)))
        assert (mine[0]["char_start"], mine[-1]["char_end"]) == (0, len(text))
        shared = [text[after["char_start"] : before["char_end"]] for before, after in pairwise(mine)]
        assert [len(words.split()) for words in shared] == [3] * (len(mine) - 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"output_dtype": "float16"},
        {"dim": 8},
        {"dim": 8, "normalize": False},
        {"prompt": "the letter of "},
        {"pooling": "cls+max"},
    ],
)
def test_a_spec_decides_the_vectors(tmp_path: Path, spec: EmbedSpec, fields: dict[str, Any]) -> None:
    write_shard(tmp_path / "corpus/a.parquet", 5)
    ours = replace(spec, **fields)
    run(ours, tmp_path)
    found = np.array([row["embedding"] for row in rows(tmp_path / "vectors")], np.float32)
    np.testing.assert_allclose(found, Encoder(ours).encode([sentence(n) for n in range(5)]), atol=1e-3)
    field = pq.read_schema(next(tmp_path.glob("vectors/parts/*/*.parquet"))).field("embedding")
    kind = pa.float16() if ours.output_dtype == "float16" else pa.float32()
    assert field.type == pa.list_(kind, found.shape[1])
    if "dim" in fields:
        whole = Encoder(replace(ours, dim="auto")).encode([sentence(n) for n in range(5)])[:, :8]
        lengths = np.linalg.norm(whole, axis=1, keepdims=True) if ours.normalize else 1.0
        np.testing.assert_allclose(found, whole / lengths, atol=1e-6)
    if "prompt" in fields:
        told = Encoder(spec).encode(["the letter of " + sentence(n) for n in range(5)])
        np.testing.assert_allclose(found, told, atol=1e-6)


def test_an_output_that_cannot_be_written_fails_in_one_line(again: Path, spec: EmbedSpec) -> None:
    shutil.rmtree(again / "vectors")
    (again / "vectors").write_text("a file")
    with pytest.raises((SpecError, StoreError)) as found:
        run(spec, again)
    assert "\n" not in str(found.value)


def test_a_shard_that_changes_under_the_run_is_set_aside_and_done_by_the_next(again: Path, spec: EmbedSpec) -> None:
    shutil.rmtree(again / "vectors")
    with open_run(ordered(again), Recipe.of(spec)) as mine:
        os.utime(again / "corpus/a.parquet")
        mine.follow(InTurn(mine, Recipe.of(spec)), FLAT)
        report = mine.finish()
    assert (report.exit_code, report.documents, report.documents_missing) == (3, 3, 10)
    assert "was changed after it was listed" in report.corpus.set_aside["a.parquet"]
    assert run(spec, again).documents == 10
    assert sorted(row["id"] for row in rows(again / "vectors")) == [*range(10), 100, 101, 102]
