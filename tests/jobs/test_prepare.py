"""The job, on real Ray: held against its stages one after another, and read as training reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.prepare import prepare
from pipelines.errors import FingerprintError, SpecError
from pipelines.prepare_spec import PrepareSpec
from pipelines.spec import Slicing, TokenizePool
from pipelines.store.instances import InstanceOutput
from pipelines.store.parts import read_dead_letters
from tests import hostile
from tests.prepared import prepare_in_turn
from tests.servers import S3Server
from tests.sources import ROOT
from tests.tiny import listing, own_data_context, parts, sentence, write_shard

TEN = Slicing(max_rows=10)


def documents(first: int, count: int) -> list[str]:
    """Texts of some lines each, others for each number."""
    return ["\n".join(sentence(9 * n + m, 3 + m % 6) for m in range(2 + n % 9)) for n in range(first, first + count)]


def run(spec: PrepareSpec, folder: Path, **more: Any) -> int:
    asked = {"documents": str(folder / "corpus"), "output": str(folder / "out"), "slicing": TEN, "progress": "none"}
    with own_data_context():
        return prepare(spec, **asked | more)


def in_turn(spec: PrepareSpec, folder: Path, **more: Any) -> int:
    """The same without Ray."""
    return prepare_in_turn(spec, folder / "corpus", folder / "out", slicing=TEN, **more).exit_code


@pytest.fixture(scope="module")
def spec(tiny_model: Path) -> PrepareSpec:
    weights = {"p/*": 2.0}
    return PrepareSpec(tokenizer=str(tiny_model), max_seqlen=32, sentences="lines", held_out=0.2, weights=weights)


@pytest.fixture(scope="module")
def made(ray_session: None, spec: PrepareSpec, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The hostile corpus and two ordinary shards, prepared on Ray by two makers; and the exit code."""
    folder = tmp_path_factory.mktemp("prepared")
    hostile.write(folder / "corpus")
    for name, first in {"m/one.parquet": 1000, "m/two.parquet": 2000}.items():
        write_shard(folder / "corpus" / name, 25, first, text=documents(first, 25))
    return folder, run(spec, folder, cpu=TokenizePool(max_actors=2, num_cpus=0.5))


def rows(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path).to_pylist())


def test_ray_gives_what_the_stages_give_in_turn(made: tuple[Path, int], spec: PrepareSpec, tmp_path: Path) -> None:
    folder, exit_code = made
    report = prepare_in_turn(spec, folder / "corpus", tmp_path, slicing=TEN)
    assert exit_code == report.exit_code == 3  # shards were set aside
    for place in ("parts", "held_out"):
        found, expected = (sorted(out.glob(f"{place}/*/*")) for out in (folder / "out", tmp_path))
        assert len(found) > 2
        assert [path.relative_to(tmp_path) for path in expected] == [path.relative_to(folder / "out") for path in found]
        assert [rows(path) for path in found] == [rows(path) for path in expected]
    assert hostile.leaks(folder / "out") == []


def test_training_finds_what_is_committed(made: tuple[Path, int]) -> None:
    folder, _ = made
    found = InstanceOutput.open(str(folder / "out"))
    assert {part.key for part in found.parts} == set(parts(folder / "out"))
    beside = {str(path.relative_to(folder / "out")) for path in folder.glob("out/held_out/*/*.parquet")}
    assert {part.held_out for part in found.parts} - {""} == beside
    assert found.num_rows == sum(len(rows(path)) for path in folder.glob("out/parts/*/*"))
    assert found.metadata["manta.objective"] == "mlm+nsp"
    assert found.metadata["manta.tokenizer_hash"] == found.tokenizer.hash
    letters = read_dead_letters(found.location, [part.key for part in found.parts]).to_pylist()
    assert {(one["row"], one["stage"], one["reason"]) for one in letters} == hostile.DEAD


def test_no_document_is_on_both_sides(made: tuple[Path, int]) -> None:
    glob = str(made[0] / "out/{}/*/*.parquet")
    train, held_out = (
        {one for (one,) in duckdb.sql(f"select id from '{glob.format(place)}'").fetchall()}
        for place in ("parts", "held_out")
    )
    assert train
    assert held_out
    assert not train & held_out


def test_the_run_file_tells_the_phase_and_the_pools(made: tuple[Path, int]) -> None:
    (path,) = (made[0] / "out/_manta/runs").iterdir()
    told = json.loads(path.read_text())
    assert told["phase_seconds"].keys() == {"plan", "start", "duplicates", "prepare", "commit"}
    assert told["placement"]["tokenize_actors"] == 2
    assert told["tokens_per_second"] > 0
    assert told["instances"]["train"] == told["rows"] > 50
    assert told["instances"]["train_tokens"] < told["tokens"]
    assert sum(told["instances"]["lengths"].values()) == told["rows"]
    assert any("batches of 256" in line for line in told["warnings"])
    assert (made[0] / "out/length_histogram.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_to_do_needs_no_ray_and_writes_nothing(made: tuple[Path, int], spec: PrepareSpec) -> None:
    folder, _ = made
    before = listing(folder)
    script = (
        "import sys, ray; from jobs import entry; from jobs.prepare import prepare\n"
        "code = prepare(**entry.parse(prepare, sys.argv[1:]))\n"
        "assert not ray.is_initialized(); assert 'torch' not in sys.modules; sys.exit(code)"
    )
    flags = ["--documents", str(folder / "corpus"), "--output", str(folder / "out")]
    flags += ["--spec.tokenizer", spec.tokenizer, "--spec.max_seqlen", "32", "--spec.sentences", "lines"]
    flags += ["--spec.held_out", "0.2", "--spec.weights", '{"p/*": 2}']
    nowhere = {**os.environ, "RAY_ADDRESS": "127.0.0.1:9"}  # whoever asks for Ray fails
    told = subprocess.run(
        [sys.executable, "-c", script, *flags], cwd=ROOT, env=nowhere, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert "nothing to do" in told.stdout
    assert listing(folder) == before


def test_another_spec_is_refused_and_nothing_touched(made: tuple[Path, int], tiny_model: Path) -> None:
    folder, _ = made
    before = listing(folder)
    with pytest.raises(FingerprintError, match=r"max_seqlen: 32 -> 16; nothing was touched"):
        run(
            PrepareSpec(tokenizer=str(tiny_model), max_seqlen=16, sentences="lines", held_out=0.2, weights={"p/*": 2}),
            folder,
        )
    assert listing(folder) == before


def test_a_weight_for_no_shard_is_refused_before_the_output_is_claimed(
    tiny_model: Path, made: tuple[Path, int], tmp_path: Path
) -> None:
    spec = PrepareSpec(tokenizer=str(tiny_model), weights={"wiki/*": 2})
    with pytest.raises(SpecError, match="no shard fits 'wiki/"):
        run(spec, made[0], output=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_days_are_asked_for_by_flags(made: tuple[Path, int], spec: PrepareSpec) -> None:
    with pytest.raises(SpecError, match=r"shards .* lie in no folder of a day"):
        run(spec, made[0], since="2026-11-24")
    with pytest.raises(SpecError, match="no day lies between"):
        run(spec, made[0], since="2026-11-24", until="2026-11-24")


def test_a_lost_part_is_made_again_the_same(spec: PrepareSpec, tmp_path: Path) -> None:
    """A slice on its own, beside others or not, gives the same bytes; what was held out of it too."""
    write_shard(tmp_path / "corpus/p/one.parquet", 40, text=documents(0, 40))
    assert in_turn(spec, tmp_path) == 0
    out = tmp_path / "out"
    before = parts(out)
    held_out = {path: path.read_bytes() for path in out.glob("held_out/*/*")}
    assert len(before) == 4
    assert len(held_out) > 0
    for path in held_out:
        path.write_bytes(b"")
        (out / "parts" / path.relative_to(out / "held_out")).unlink()
    assert in_turn(spec, tmp_path) == 0
    assert parts(out) == before
    assert {path: path.read_bytes() for path in out.glob("held_out/*/*")} == held_out


def test_what_was_held_out_leaves_with_its_shard(spec: PrepareSpec, tmp_path: Path) -> None:
    for name, first in {"p/one.parquet": 0, "two.parquet": 100}.items():
        write_shard(tmp_path / "corpus" / name, 30, first, text=documents(first, 30))
    assert in_turn(spec, tmp_path) == 0
    shards = {path.parent.name for path in tmp_path.glob("out/held_out/*/*")}
    assert len(shards) == 2
    (tmp_path / "corpus/two.parquet").unlink()
    assert in_turn(spec, tmp_path, removed="drop") == 0
    kept = {part.held_out for part in InstanceOutput.open(str(tmp_path / "out")).parts} - {""}
    assert {str(path.relative_to(tmp_path / "out")) for path in tmp_path.glob("out/held_out/*/*")} == kept
    assert len({key.split("/")[1] for key in kept}) == 1


def test_into_a_bucket(s3: S3Server, spec: PrepareSpec, tmp_path: Path) -> None:
    write_shard(tmp_path / "corpus/p/one.parquet", 40, text=documents(0, 40))
    assert in_turn(spec, tmp_path) == 0
    there = f"s3://{s3.bucket()}/out"
    assert prepare_in_turn(spec, tmp_path / "corpus", there, slicing=TEN).exit_code == 0
    here, found = (InstanceOutput.open(uri) for uri in (str(tmp_path / "out"), there))
    assert [(part.key, part.held_out) for part in found.parts] == [(part.key, part.held_out) for part in here.parts]
    for part in found.parts:
        for key in filter(None, (part.key, part.held_out)):
            tables = [pq.read_table(pa.BufferReader(one.location.read(key))) for one in (here, found)]
            assert tables[0].equals(tables[1])
