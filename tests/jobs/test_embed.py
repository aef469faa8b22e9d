"""The job, on real Ray: held against the same stages one after another, and read by others' readers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars
import pytest
import ray

from jobs import entry
from jobs.embed import embed
from pipelines.errors import SpecError
from pipelines.run.local import Encoder
from pipelines.spec import EmbedSpec, EncodePool, OutputDtype, Slicing, TokenizePool
from pipelines.store.lease import hold
from pipelines.store.location import locate
from pipelines.store.manifest import read_manifest
from pipelines.store.parts import list_parts, read_dead_letters
from tests import hostile
from tests.sources import ROOT
from tests.tiny import embed_in_turn, listing, own_data_context, rows, sentence, write_shard

FOUR = Slicing(max_rows=4)
TWO_ENCODERS = EncodePool(max_actors=2, num_cpus=1, num_threads=1)
ONE_TOKENIZER = TokenizePool(max_actors=1, num_cpus=0.25)


@pytest.fixture(scope="module")
def spec(tiny_model: Path) -> EmbedSpec:
    return EmbedSpec(model=str(tiny_model), precision="float32")


def run(spec: EmbedSpec, folder: Path, **more: Any) -> int:
    asked = {
        "documents": str(folder / "corpus"),
        "output": str(folder / "vectors"),
        "slicing": FOUR,
        "progress": "none",
    }
    with own_data_context():
        return embed(spec, **asked | more)


@pytest.fixture(scope="module")
def odd(ray_session: None, spec: EmbedSpec, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The hostile corpus, embedded on Ray by two encoders that share a gate, and the exit code."""
    folder = tmp_path_factory.mktemp("odd")
    hostile.write(folder / "corpus")
    return folder, run(spec, folder, gpu=TWO_ENCODERS, cpu=ONE_TOKENIZER)


def letters(output: Path) -> list[dict[str, Any]]:
    place = locate(str(output))
    return sorted(
        read_dead_letters(place, [part.key for part in list_parts(place)]).to_pylist(),
        key=lambda letter: (letter["shard"], letter["row"]),
    )


def test_ray_gives_what_the_stages_give_in_turn(odd: tuple[Path, int], spec: EmbedSpec, tmp_path: Path) -> None:
    folder, exit_code = odd
    assert exit_code == 3  # shards were set aside
    embed_in_turn(spec, folder / "corpus", tmp_path, slicing=FOUR)
    ours, plain = ({part.key for part in list_parts(locate(str(place)))} for place in (folder / "vectors", tmp_path))
    assert ours == plain
    assert letters(folder / "vectors") == letters(tmp_path)
    assert len(letters(tmp_path)) == len(hostile.DEAD)
    found, expected = rows(folder / "vectors"), rows(tmp_path)
    assert [row["id"] for row in found] == [row["id"] for row in expected]
    np.testing.assert_allclose([row["embedding"] for row in found], [row["embedding"] for row in expected], atol=1e-5)
    aside = {shard.name: shard.set_aside for shard in read_manifest(locate(str(tmp_path))).shards().values()}
    known = read_manifest(locate(str(folder / "vectors"))).shards().values()
    assert {shard.name: shard.set_aside for shard in known} == aside
    assert {name for name, reason in aside.items() if reason} == hostile.SET_ASIDE.keys()


def test_no_text_is_told_in_the_output_nor_in_rays_logs(odd: tuple[Path, int]) -> None:
    folder, _ = odd
    assert hostile.leaks(folder / "vectors") == []
    logs = Path(ray._private.worker.global_worker.node.get_logs_dir_path())
    files = [path for path in logs.rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if hostile.CANARY.encode() in path.read_bytes()] == []


def test_the_run_file_tells_what_it_cost(odd: tuple[Path, int]) -> None:
    (path,) = (odd[0] / "vectors/_manta/runs").iterdir()
    told = json.loads(path.read_text())
    num_rows, num_dead = sum(hostile.ROWS.values()), len(hostile.DEAD)
    assert (told["rows"], told["documents"], told["num_dead_letters"]) == (num_rows, num_rows + num_dead, num_dead)
    assert told["phase_seconds"].keys() == {"plan", "start", "encode", "commit"}
    planned = told["documents"] + told["documents_missing"]  # of a shard that breaks midway
    assert (told["plan"]["documents"], told["plan"]["sampled"]) == (planned, told["documents"])
    assert told["plan"]["tokens"] == round(told["tokens"] * planned / told["documents"])
    assert told["actual_to_plan"]["rows"] == pytest.approx(told["documents"] / planned, rel=0.05)
    assert told["stage_seconds"]["encode compute"] > 0
    assert told["peak_bytes"].keys() == {"read", "tokenize", "encode", "write"}
    assert told["facts"]["precision"] == "float32"
    assert told["placement"]["encode_actors"][1] == 2
    assert told["corpus"]["set_aside"].keys() == hostile.SET_ASIDE.keys()


def test_nothing_to_do_needs_no_ray_and_writes_nothing(odd: tuple[Path, int], spec: EmbedSpec) -> None:
    folder, _ = odd
    before = listing(folder)
    script = (
        "import sys, ray; from jobs import entry; from jobs.embed import embed\n"
        "code = embed(**entry.parse(embed, sys.argv[1:]))\n"
        "assert not ray.is_initialized(); assert 'torch' not in sys.modules; sys.exit(code)"
    )
    flags = ["--documents", str(folder / "corpus"), "--output", str(folder / "vectors")]
    flags += ["--spec.model", spec.model, "--spec.precision", "float32"]
    nowhere = {**os.environ, "RAY_ADDRESS": "127.0.0.1:9"}  # whoever asks for Ray fails
    told = subprocess.run(
        [sys.executable, "-c", script, *flags], cwd=ROOT, env=nowhere, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert "nothing to do" in told.stdout
    assert listing(folder) == before


def test_no_shard_of_the_days_asked_for_is_nothing_to_do_and_another_run_at_work_is_exit_4(
    spec: EmbedSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")  # whoever asks for Ray fails
    write_shard(tmp_path / "corpus/date=2026-11-23/a.parquet", 4)
    flags = ["--documents", str(tmp_path / "corpus"), "--output", str(tmp_path / "vectors")]
    flags += ["--spec.model", spec.model, "--progress", "none"]
    assert entry.run(embed, [*flags, "--since", "2026-11-24"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    with hold(locate(str(tmp_path / "vectors")), "run9", print):
        assert entry.run(embed, flags) == 4
    assert "is held by run run9" in capsys.readouterr().err


@pytest.mark.parametrize("reader", ["duckdb", "polars"])
def test_others_read_the_parts(odd: tuple[Path, int], reader: str) -> None:
    glob = str(odd[0] / "vectors/parts/**/*.parquet")
    ids = sorted(row["id"] for row in rows(odd[0] / "vectors"))
    if reader == "duckdb":
        assert sorted(duckdb.sql(f"select id from '{glob}' order by id").fetchall()) == [(n,) for n in ids]
        (worst,) = duckdb.sql(
            f"select min(list_dot_product(embedding::float[], embedding::float[])) from '{glob}'"
        ).fetchall()[0]
    else:
        frame = polars.read_parquet(glob)
        assert sorted(frame["id"].to_list()) == ids
        worst = min(sum(x * x for x in vector) for vector in frame["embedding"].to_list())
    assert worst == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "binary"])
def test_ray_quantizes_as_the_stages_in_turn(
    ray_session: None, spec: EmbedSpec, tmp_path: Path, dtype: OutputDtype, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, first in {"a": 0, "b": 30}.items():
        texts = [sentence(46 * n, 3 + n % 17) for n in range(first, first + 30)]
        write_shard(tmp_path / f"corpus/{name}.parquet", 30, first, text=texts)
    ours = replace(spec, output_dtype=dtype)
    assert run(ours, tmp_path) == 0
    assert f"{dtype} held against float32, 30 vectors" in capsys.readouterr().out
    embed_in_turn(ours, tmp_path / "corpus", tmp_path / "plain", slicing=FOUR)
    found, expected = ([row["embedding"] for row in rows(tmp_path / name)] for name in ("vectors", "plain"))
    bytes_of = [np.frombuffer(b"".join(codes), np.uint8).astype(int) for codes in (found, expected)]
    assert bytes_of[0].size == 60 * (32 if dtype == "int8" else 4)
    assert (bytes_of[0] != bytes_of[1]).mean() < 0.01  # where the last place of a float32 decides
    (run_file,) = (tmp_path / "vectors/_manta/runs").iterdir()
    told = json.loads(run_file.read_text())
    assert told["phase_seconds"].keys() == {"plan", "start", "calibrate", "encode", "commit"}
    assert (told["quantization"]["num_documents"], told["quantization"]["num_held_out"]) == (60, 30)
    assert 0 < told["quantization"]["float_query"]["recall_at_10"] <= 1
    put = (tmp_path / "vectors/_manta/calibration.json").read_bytes()
    write_shard(tmp_path / "corpus/c.parquet", 9, first=700)
    assert run(ours, tmp_path) == 0
    assert (tmp_path / "vectors/_manta/calibration.json").read_bytes() == put
    assert len(rows(tmp_path / "vectors")) == 69


def test_one_query_is_a_vector_on_stdout(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = EmbedSpec(model=str(tiny_model), precision="float32")
    assert embed(spec, text="the king") == 0
    found = json.loads(capsys.readouterr().out)
    np.testing.assert_array_equal(np.array(found, np.float32), Encoder(spec).encode_query(["the king"])[0])


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        ("", "no corpus is named"),
        ("missing", "missing"),
        ("empty", "there is no Parquet file in"),
        ("other", "a.jsonl is no Parquet file: leave it out by a glob such as FOLDER/*.parquet; what converts it: "),
        ("corpus/*.nothing", "there is no Parquet file in"),
        ("corpus", "is among the documents"),
        ("broken", "none of the 2 shards can be used; the first: a.parquet can't be read as Parquet"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line_and_nothing_made(
    tmp_path: Path, spec: EmbedSpec, documents: str, words: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.jsonl").write_text("{}")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/a.parquet").write_bytes(b"PAR1")
    write_shard(tmp_path / "broken/b.parquet", text=[None] * 10, id=[None] * 10)
    write_shard(tmp_path / "corpus/a.parquet")
    output = tmp_path / ("corpus/vectors" if documents == "corpus" else "vectors")
    with pytest.raises(SpecError) as refused:
        run(spec, tmp_path, documents=str(tmp_path / documents) if documents else "", output=str(output))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not output.exists()
