"""The quantizer of a run: made once by a task, from all of the corpus, or not needed; and runs that quantize by it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.errors import FingerprintError, ShardError
from pipelines.run.calibration import KEY as CALIBRATION
from pipelines.run.local import Encoder
from pipelines.run.order import Order
from pipelines.run.quantizer import quantizer_for, sample_of
from pipelines.run.start import Pools
from pipelines.run.trunk import open_run
from pipelines.spec import Calibration, EmbedSpec, EncodePool, Slicing
from pipelines.stages.recipe import Recipe
from pipelines.store.manifest import KEY
from tests.tiny import FLAT, InTurn, embed_in_turn, listing, rows, sentence, write_shard

POOLS = Pools(placement=replace(FLAT, encode_cpus=1.0))


@pytest.fixture
def spec(tiny_model: Path) -> EmbedSpec:
    return EmbedSpec(model=str(tiny_model), precision="float32", output_dtype="int8")


def order(folder: Path, **fields: object) -> Order:
    asked = {"job": "embed", "documents": str(folder / "corpus"), "output": str(folder / "vectors"), "progress": "none"}
    return Order(**asked | {"slicing": Slicing(max_rows=4)} | fields)  # type: ignore[arg-type]


def test_floats_need_none(tmp_path: Path, spec: EmbedSpec) -> None:
    write_shard(tmp_path / "corpus/a.parquet", 10)
    with open_run(order(tmp_path), Recipe.of(replace(spec, output_dtype="float16"))) as run:
        assert quantizer_for(run, EncodePool(), POOLS).dtype == "float16"
    assert not (tmp_path / "vectors/_manta/calibration.json").exists()


def test_a_task_calibrates_once(ray_session: None, tmp_path: Path, spec: EmbedSpec) -> None:
    write_shard(tmp_path / "corpus/a.parquet", 40)
    with open_run(order(tmp_path), Recipe.of(spec)) as run:
        first = quantizer_for(run, EncodePool(), POOLS)
        assert quantizer_for(run, EncodePool(), POOLS) is first
    put = (tmp_path / "vectors/_manta/calibration.json").read_bytes()
    with open_run(order(tmp_path), Recipe.of(spec)) as run:
        again = quantizer_for(run, EncodePool(), POOLS)
        assert again.ranges.tolist() == first.ranges.tolist()
    assert (tmp_path / "vectors/_manta/calibration.json").read_bytes() == put


def test_a_corpus_without_a_text_gives_no_ranges(ray_session: None, tmp_path: Path, spec: EmbedSpec) -> None:
    write_shard(tmp_path / "corpus/a.parquet", 4, text=[None] * 4)
    with (
        open_run(order(tmp_path), Recipe.of(spec)) as run,
        pytest.raises(ShardError, match="none of the documents sampled"),
    ):
        quantizer_for(run, EncodePool(), POOLS)
    assert not (tmp_path / "vectors/_manta/calibration.json").exists()


def test_the_sample_is_of_the_whole_corpus_whatever_the_limit(tmp_path: Path, spec: EmbedSpec) -> None:
    for name in "abc":
        write_shard(tmp_path / f"corpus/{name}.parquet", 100)
    write_shard(tmp_path / "corpus/d.parquet", 100, text=[1] * 100)  # set aside
    small = Recipe.of(replace(spec, calibration=Calibration(num_documents=48)))
    with open_run(order(tmp_path, limit=5), small) as run:
        limited = sample_of(run)
        assert sum(stretch.num_documents for stretch in run.plan.stretches) == 5
        assert {stretch.shard.name for stretch in limited} == {"a.parquet", "b.parquet", "c.parquet"}
        assert sum(stretch.num_documents for stretch in limited) == 48
    with open_run(order(tmp_path), small) as run:
        assert sample_of(run) == limited


def run(spec: EmbedSpec, folder: Path, **fields: Any) -> Any:
    asked = {"documents": folder / "corpus", "output": folder / "vectors", "slicing": Slicing(max_rows=4)}
    return embed_in_turn(spec, **asked | fields)


VARIED = {n: sentence(46 * n, 3 + n % 17) for n in range(120)}  # ``sentence`` alone gives three below 44


def write_varied(path: Path, num_rows: int, first: int = 0) -> None:
    write_shard(path, num_rows, first, text=[VARIED[n] for n in range(first, first + num_rows)])


def footers(folder: Path) -> list[dict[str, str]]:
    """What the footers of the parts and of the manifest say under manta."""
    paths = [*sorted(folder.glob("vectors/parts/*/*.parquet")), folder / "vectors" / KEY]
    found = [pq.read_schema(path).metadata for path in paths]
    return [{key.decode(): value.decode() for key, value in metadata.items()} for metadata in found]


def codes(folder: Path, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Codes, and the exact vectors of the same texts, in order of the parts."""
    found = rows(folder / "vectors")
    kind = np.int8 if dtype == "int8" else np.uint8
    return np.stack([np.frombuffer(row["embedding"], kind) for row in found]), np.array([row["id"] for row in found])


@pytest.mark.parametrize("dim", ["auto", 16])
def test_int8_is_calibrated_once_and_halves_of_a_corpus_compare(tmp_path: Path, spec: EmbedSpec, dim: Any) -> None:
    write_varied(tmp_path / "corpus/a.parquet", 60)
    ours = replace(spec, dim=dim)
    first = run(ours, tmp_path)
    calibration = tmp_path / "vectors" / CALIBRATION
    put, before = calibration.read_bytes(), listing(tmp_path / "vectors/parts")
    write_varied(tmp_path / "corpus/b.parquet", 60, first=60)
    second = run(ours, tmp_path)
    assert (first.documents, second.documents) == (60, 60)
    assert calibration.read_bytes() == put
    assert before.items() <= listing(tmp_path / "vectors/parts").items()
    found, ids = codes(tmp_path, "int8")
    exact = Encoder(ours).encode([VARIED[n] for n in ids])
    assert (exact.dtype, exact.shape[1]) == (np.float32, 32 if dim == "auto" else 16)
    for told in footers(tmp_path):  # each alone says how its codes are read, and all say the same
        assert told["manta.output_dtype"] == "int8"
        ranges = np.frombuffer(base64.b64decode(told["manta.ranges"]), "<f4").reshape(2, -1)
        np.testing.assert_array_equal(ranges, json_ranges(put))
    least, step = ranges[0], (ranges[1] - ranges[0]) / 255
    restored = least + (found.astype(np.float32) + 128.5) * step
    inside = (exact >= ranges[0]) & (exact <= ranges[1])
    assert inside.mean() > 0.9
    assert (np.abs(restored - exact) <= 0.51 * step + 1e-6)[inside].all()
    assert (found >= 126)[exact > ranges[1]].all()  # one less where it is greater by float32's last place
    assert (found == -128)[exact < ranges[0]].all()
    shares = [report.quantization["clipped_share_of_run"] for report in (first, second)]
    assert sum(shares) / 2 == pytest.approx(1 - inside.mean(), abs=1e-3)
    whole = inside.all(axis=1)  # the ranges of 30 short texts are narrow: some others are clipped
    old, new = whole & (ids < 60), whole & (ids >= 60)
    assert min(old.sum(), new.sum()) > 10
    np.testing.assert_allclose(restored[old] @ restored[new].T, exact[old] @ exact[new].T, atol=0.01)


def json_ranges(calibration: bytes) -> np.ndarray:
    return np.frombuffer(base64.b64decode(json.loads(calibration)["ranges"]), "<f4").reshape(2, -1)


@pytest.mark.parametrize("dim", [32, 16])
def test_binary_is_the_signs_packed(tmp_path: Path, spec: EmbedSpec, dim: int) -> None:
    write_varied(tmp_path / "corpus/a.parquet", 30)
    report = run(replace(spec, output_dtype="binary", dim=dim), tmp_path)
    found, ids = codes(tmp_path, "binary")
    exact = Encoder(replace(spec, dim=dim)).encode([VARIED[n] for n in ids])
    np.testing.assert_array_equal(found, np.packbits(exact > 0, axis=1))
    assert found.shape == (30, dim // 8)
    assert (report.quantization["num_held_out"], report.quantization["clipped_share_of_run"]) == (15, 0)
    assert {told["manta.output_dtype"] for told in footers(tmp_path)} == {"binary"}
    one, other, distance = duckdb.sql(
        "select a.id, b.id, bit_count(xor(a.embedding::bit, b.embedding::bit)) as distance "
        f"from '{tmp_path}/vectors/parts/*/*.parquet' a, '{tmp_path}/vectors/parts/*/*.parquet' b "
        "where a.id < b.id order by distance, a.id, b.id limit 1"
    ).fetchall()[0]
    by_id = dict(zip(ids.tolist(), np.unpackbits(found, axis=1), strict=True))
    assert distance == (by_id[one] != by_id[other]).sum()
    assert distance == min((by_id[a] != by_id[b]).sum() for a in by_id for b in by_id if a < b)


def test_a_run_that_stops_behind_its_calibration_goes_on_with_it(tmp_path: Path, spec: EmbedSpec) -> None:
    write_varied(tmp_path / "corpus/a.parquet", 40)
    ours = Recipe.of(spec)
    with open_run(order(tmp_path), ours) as mine:
        InTurn(mine, ours)  # born with the calibration, and killed before its first slice
    put = (tmp_path / "vectors" / CALIBRATION).read_bytes()
    assert list(tmp_path.glob("vectors/parts/*/*")) == []
    write_varied(tmp_path / "corpus/b.parquet", 80, first=40)  # another corpus would give other ranges
    report = run(spec, tmp_path)
    assert report.documents == 120
    assert report.quantization["num_documents"] == 40
    assert (tmp_path / "vectors" / CALIBRATION).read_bytes() == put
    assert {told["manta.ranges"] for told in footers(tmp_path)} == {json.loads(put)["ranges"]}


def test_a_run_that_stops_before_its_calibration_makes_it_next_time(tmp_path: Path, spec: EmbedSpec) -> None:
    write_varied(tmp_path / "corpus/a.parquet", 12)
    ours = Recipe.of(spec)
    with pytest.raises(KeyboardInterrupt), open_run(order(tmp_path), ours) as mine:
        mine.calibrate(interrupted)
    assert not (tmp_path / "vectors" / CALIBRATION).exists()
    assert run(ours.spec, tmp_path).documents == 12


def interrupted() -> Any:
    raise KeyboardInterrupt


def test_a_lost_calibration_is_not_made_anew(tmp_path: Path, spec: EmbedSpec) -> None:
    write_varied(tmp_path / "corpus/a.parquet", 40)
    run(spec, tmp_path)
    put = (tmp_path / "vectors" / CALIBRATION).read_bytes()
    (tmp_path / "vectors" / CALIBRATION).unlink()
    write_varied(tmp_path / "corpus/b.parquet", 80, first=40)
    run(spec, tmp_path)
    assert (tmp_path / "vectors" / CALIBRATION).read_bytes() == put
    before = listing(tmp_path)
    assert run(spec, tmp_path).documents == 0
    assert listing(tmp_path) == before


def test_another_recipe_is_refused(tmp_path: Path, spec: EmbedSpec) -> None:
    write_varied(tmp_path / "corpus/a.parquet", 12)
    run(spec, tmp_path)
    with pytest.raises(FingerprintError, match=r"calibration: .*'seed': 0.* -> .*'seed': 4"):
        run(replace(spec, calibration=Calibration(seed=4)), tmp_path)
    with pytest.raises(FingerprintError, match=r"output_dtype: 'int8' -> 'binary'"):
        run(replace(spec, output_dtype="binary"), tmp_path)


def test_a_trial_is_calibrated_on_the_whole_corpus(tmp_path: Path, spec: EmbedSpec) -> None:
    write_varied(tmp_path / "corpus/a.parquet", 60)
    trial = run(spec, tmp_path, limit=4)
    assert (trial.documents, trial.quantization["num_documents"]) == (4, 60)
