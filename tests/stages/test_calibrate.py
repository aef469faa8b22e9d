"""A sample through the stages: the same ranges as by hand from the encoder for one's own use, bad rows left out."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.model.calibration import Calibrated, calibrate
from pipelines.run.local import Encoder
from pipelines.schema import SliceHeader
from pipelines.spec import Calibration, EmbedSpec, Slicing
from pipelines.stages.attempts import Attempts
from pipelines.stages.calibrate import calibrate_on
from pipelines.stages.documents import columns_for
from pipelines.stages.read import Reading, Stretch
from pipelines.stages.recipe import Recipe
from pipelines.store.shards import list_shards, read_footer
from tests.children import die
from tests.tiny import ON_CPU, sentence, write_shard


def text(number: int) -> str:
    """Another text for each number, which ``sentence`` gives none below 44."""
    return sentence(46 * number, 3 + number % 17)


def write(path: Path, num_rows: int, first: int = 0) -> None:
    write_shard(path, num_rows, first, text=[text(n) for n in range(first, first + num_rows)])


@pytest.fixture
def spec(tiny_model: Path) -> EmbedSpec:
    return EmbedSpec(model=str(tiny_model), precision="float32", output_dtype="int8")


def calibrated(
    spec: EmbedSpec, corpus: Path, *ranges: tuple[int, int, int], attempts: Attempts | None = None
) -> Calibrated:
    """From ranges (shard, first row, stop row) of a corpus."""
    shards = list_shards(str(corpus))
    columns = columns_for(spec, read_footer(shards[0]).schema)
    reading = Reading(columns=columns, slicing=Slicing(max_rows=16), output_row_bytes=100)
    sample = [Stretch(shard=shards[n], first_row=first, stop_row=stop) for n, first, stop in ranges]
    return calibrate_on(sample, reading, Recipe.of(spec), ON_CPU, attempts or Attempts())


def by_hand(spec: EmbedSpec, texts: list[str], documents: Any = None) -> Calibrated:
    numbers = np.arange(len(texts)) if documents is None else np.array(documents)
    return calibrate(Encoder(replace(spec, output_dtype="float32")).encode(texts), numbers, Recipe.of(spec).spec)


def close(ours: Calibrated, theirs: Calibrated) -> bool:
    counts = [(one.num_documents, one.num_calibrating, one.num_held_out) for one in (ours, theirs)]
    return counts[0] == counts[1] and np.allclose(ours.quantizer.ranges, theirs.quantizer.ranges, atol=1e-5)


def test_the_ranges_are_those_of_the_sampled_documents(spec: EmbedSpec, tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", 40)
    write(tmp_path / "b.parquet", 30, first=100)
    found = calibrated(spec, tmp_path, (0, 3, 11), (0, 20, 40), (1, 0, 5))
    texts = [text(n) for n in [*range(3, 11), *range(20, 40), *range(100, 105)]]
    assert close(found, by_hand(spec, texts))
    assert not close(found, by_hand(spec, [text(n) for n in range(33)]))  # the comparison can fail
    assert (found.num_documents, found.num_calibrating, found.num_held_out) == (33, 17, 16)


def test_bad_rows_and_broken_shards_are_left_out(spec: EmbedSpec, tmp_path: Path) -> None:
    texts = [None if n % 4 == 0 else text(n) for n in range(20)]
    write_shard(tmp_path / "a.parquet", 20, text=texts)
    write(tmp_path / "b.parquet", 20, first=20)
    found = calibrated(spec, tmp_path, (0, 0, 20), (1, 0, 999))
    good = [n for n in range(40) if n >= 20 or n % 4]
    assert close(found, by_hand(spec, [text(n) for n in good], good))


def test_long_documents_do_not_make_long_work(spec: EmbedSpec, tmp_path: Path) -> None:
    texts = [sentence(n, 200) for n in range(12)]
    write_shard(tmp_path / "a.parquet", 12, text=texts)
    chunked = replace(spec, overlong="chunk", max_seqlen=12)
    found = calibrated(chunked, tmp_path, (0, 0, 12))
    assert found.num_calibrating + found.num_held_out == 12  # of 240 chunks
    again = calibrated(chunked, tmp_path, (0, 0, 12))
    np.testing.assert_array_equal(again.quantizer.ranges, found.quantizer.ranges)


def test_a_cut_vector_is_renormalized_before_it_is_quantized(spec: EmbedSpec, tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", 30)
    found = calibrated(replace(spec, dim=8), tmp_path, (0, 0, 30))
    assert (found.dim, found.quantizer.ranges.shape) == (8, (2, 8))
    whole = Encoder(replace(spec, output_dtype="float32")).encode([text(n) for n in range(30)])[:, :8]
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    assert close(found, calibrate(whole, np.arange(30), replace(spec, dim=8)))


def test_binary_takes_a_sample_for_its_cost_alone(spec: EmbedSpec, tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", 40)
    found = calibrated(replace(spec, output_dtype="binary"), tmp_path, (0, 0, 40))
    assert found.quantizer.ranges.size == 0
    assert 0.2 < found.float_query.rank_correlation < 1  # type: ignore[operator]


def test_a_document_that_kills_its_process_is_left_out(
    spec: EmbedSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "marks").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "marks"))
    write(tmp_path / "corpus/a.parquet", 10)
    attempts = Attempts()
    (shard,) = list_shards(str(tmp_path / "corpus"))
    header = SliceHeader(shard="a.parquet", shard_id=shard.shard_id, first_row=0, num_documents=10)
    for rows in ((), (), (0, 1, 2)):
        die(attempts, "tokenize", header, *rows)
    found = calibrated(spec, tmp_path / "corpus", (0, 0, 10), attempts=attempts)
    good = [n for n in range(10) if n != 2]
    assert close(found, by_hand(spec, [text(n) for n in good], good))


def test_a_sample_may_be_empty_for_binary(spec: EmbedSpec, tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", 3, text=pa.array([None] * 3, pa.string()))
    found = calibrated(
        replace(spec, output_dtype="binary", calibration=Calibration(num_documents=5)), tmp_path, (0, 0, 3)
    )
    assert (found.num_documents, found.num_held_out, found.code_query.recall_at_10) == (0, 0, None)
