"""Chunks to vectors: the actor against the encoder for one's own use, its failures by row, its columns."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import ray.data
from ray.data import ActorPoolStrategy

from pipelines.errors import GateError, SpecError
from pipelines.model.gate import GateReference
from pipelines.model.quantize import Quantizer, ranges_of
from pipelines.run.local import Encoder
from pipelines.schema import SliceHeader, codes_to_numpy, fold, ragged, unfold, vectors_to_numpy
from pipelines.spec import EmbedSpec, EncodePool, OutputDtype
from pipelines.stages.attempts import Attempts
from pipelines.stages.documents import TEXT, DocumentColumns
from pipelines.stages.encode import ChunkEncoder, _device, part_columns, reference_of
from pipelines.stages.recipe import Recipe
from pipelines.stages.slicewise import ROW, without
from pipelines.stages.tokenize import ChunkTokenizer
from tests.children import die
from tests.tiny import VOCABULARY, sentence

TEXTS = [sentence(n, 1 + n % 25) for n in range(40)]
ON_CPU = {"device": "cpu"}


@pytest.fixture
def spec(tiny_model: Path) -> EmbedSpec:
    return EmbedSpec(model=str(tiny_model), precision="float32")


def test_a_slice_of_chunks_becomes_a_slice_of_vectors(spec: EmbedSpec) -> None:
    recipe = Recipe.of(spec)
    header = SliceHeader(shard="a", shard_id="b", first_row=7, num_documents=40)
    documents = fold(pa.table({ROW: range(7, 47), "id": range(40), TEXT: TEXTS}), header)
    rows, head = unfold(ChunkEncoder(recipe, ON_CPU)(ChunkTokenizer(recipe)(documents)))
    assert rows.column_names == [ROW, "id", "num_tokens", "truncated", "embedding"]
    assert rows["embedding"].type == pa.list_(pa.float32(), 32)
    np.testing.assert_array_equal(vectors_to_numpy(rows["embedding"]), Encoder(spec).encode(TEXTS))
    assert head.facts["precision"] == "float32"
    assert head.facts["device"] == "cpu"
    assert head.stats["encode_tokens"] == head.stats["num_tokens"] <= head.stats["encode_computed_tokens"]


def test_a_chunk_that_fails_takes_its_document_along(spec: EmbedSpec) -> None:
    ids = [[2, 50, 3], [2, 51, 3], [2, len(VOCABULARY), 3], [2, 52, 3], [2, -1, 3]]
    offsets = np.arange(0, 18, 3)
    table = pa.table({ROW: [10, 11, 11, 12, 13], "input_ids": ragged(np.concatenate(ids).astype(np.int32), offsets)})
    header = SliceHeader(shard="a", shard_id="b", first_row=10, num_documents=4)
    rows, head = unfold(ChunkEncoder(Recipe.of(spec), ON_CPU)(fold(table, header)))
    assert rows[ROW].to_pylist() == [10, 12]
    assert np.isfinite(vectors_to_numpy(rows["embedding"])).all()
    assert [(letter.row, letter.stage) for letter in head.dead_letters] == [(11, "encode"), (13, "encode")]
    assert all("outside the model's vocabulary" in letter.reason for letter in head.dead_letters)


def test_one_document_at_a_time_is_the_same(spec: EmbedSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    recipe, attempts = Recipe.of(replace(spec, overlong="chunk", max_seqlen=12)), Attempts()
    header = SliceHeader(shard="a", shard_id="b", first_row=7, num_documents=40)
    documents = fold(pa.table({ROW: range(7, 47), "id": range(40), TEXT: TEXTS}), header)
    chunks = ChunkTokenizer(recipe)(documents)
    encoder = ChunkEncoder(recipe, ON_CPU, attempts=attempts)
    plain, head = unfold(encoder(chunks))
    assert plain.num_rows > 40
    for rows in ((), (), (9, 12)):
        die(attempts, "encode", header, *rows)
    alone, its_head = unfold(encoder(chunks))
    expected = without(plain, [12])
    assert alone.drop_columns(["embedding"]).equals(expected.drop_columns(["embedding"]))
    vectors = vectors_to_numpy(alone["embedding"])
    np.testing.assert_allclose(vectors, vectors_to_numpy(expected["embedding"]), atol=1e-6)
    assert [(letter.row, letter.stage) for letter in its_head.dead_letters] == [(12, "encode")]
    assert its_head.facts == head.facts
    assert its_head.stats["encode_tokens"] == expected["num_tokens"].to_numpy().sum()
    assert its_head.stats["encode_wait_seconds"] > 0


def test_float16_is_rounded_once(spec: EmbedSpec) -> None:
    recipe = Recipe.of(replace(spec, output_dtype="float16"))
    rows = ChunkEncoder(recipe, ON_CPU)(ChunkTokenizer(recipe)(pa.table({"text": TEXTS})))
    assert rows["embedding"].type == pa.list_(pa.float16(), 32)
    expected = Encoder(spec).encode(TEXTS).astype(np.float16)
    np.testing.assert_array_equal(vectors_to_numpy(rows["embedding"]), expected)


@pytest.mark.parametrize(("dtype", "width"), [("int8", 32), ("binary", 4)])
def test_codes_are_those_of_the_quantizer(spec: EmbedSpec, dtype: OutputDtype, width: int) -> None:
    recipe = Recipe.of(replace(spec, output_dtype=dtype))
    expected = Encoder(spec).encode(TEXTS)
    quantizer = Quantizer(dtype, ranges_of(expected[:20]))
    header = SliceHeader(shard="a", shard_id="b", first_row=0, num_documents=40)
    documents = fold(pa.table({ROW: range(40), "id": range(40), TEXT: TEXTS}), header)
    rows, head = unfold(ChunkEncoder(recipe, ON_CPU, quantizer=quantizer)(ChunkTokenizer(recipe)(documents)))
    assert rows["embedding"].type == pa.binary(width)
    codes = codes_to_numpy(rows["embedding"], np.int8 if dtype == "int8" else np.uint8)
    np.testing.assert_array_equal(codes, quantizer.quantize(expected))
    assert head.stats["clipped_numbers"] == quantizer.num_clipped(expected)
    assert (head.stats["clipped_numbers"] > 0) == (dtype == "int8")


def test_codes_of_the_rows_that_are_left(spec: EmbedSpec) -> None:
    recipe = Recipe.of(replace(spec, output_dtype="binary"))
    table = pa.table({ROW: [0, 1, 1, 2], "input_ids": [[2, 50, 3], [2, 51, 3], [2, -1, 3], [2, 52, 3]]})
    table = table.set_column(1, "input_ids", table["input_ids"].cast(pa.large_list(pa.int32())))
    header = SliceHeader(shard="a", shard_id="b", first_row=0, num_documents=3)
    rows, head = unfold(ChunkEncoder(recipe, ON_CPU)(fold(table, header)))
    alone, _ = unfold(ChunkEncoder(recipe, ON_CPU)(fold(table.slice(3), header)))
    assert (rows[ROW].to_pylist(), [letter.row for letter in head.dead_letters]) == ([0, 2], [1])
    assert rows["embedding"][1] == alone["embedding"][0]
    none, _ = unfold(ChunkEncoder(recipe, ON_CPU)(fold(table.slice(2, 1), header)))
    assert (none.num_rows, none["embedding"].type) == (0, pa.binary(4))


def test_int8_needs_ranges(spec: EmbedSpec) -> None:
    with pytest.raises(SpecError, match="calibrate on a sample"):
        ChunkEncoder(Recipe.of(replace(spec, output_dtype="int8")), ON_CPU)


def test_the_gate_is_held_before_the_first_slice(spec: EmbedSpec, ray_session: None) -> None:
    wrong = GateReference(np.ones((8, 32), np.float32))
    with pytest.raises(GateError, match="agree with the plain float32 path to"):
        ChunkEncoder(Recipe.of(spec), ON_CPU, gate=ray.put(wrong))


def test_thereference_of_the_gate_is_computed_once_a_machine(
    spec: EmbedSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANTA_CACHE", str(tmp_path))
    recipe = Recipe.of(spec)
    first = reference_of(recipe).vectors
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.model.gate.reference", lambda *_: pytest.fail("it was computed again"))
        np.testing.assert_array_equal(reference_of(recipe).vectors, first)
        other = Recipe.of(replace(spec, output_dtype="binary"))
        np.testing.assert_array_equal(reference_of(other).vectors, first)  # the same before it is quantized
    cut = reference_of(Recipe.of(replace(spec, dim=8))).vectors  # another spec, another reference
    assert (cut.shape, first.shape) == ((8, 8), (8, 32))


def test_the_actors_serve_an_ordinary_dataset(spec: EmbedSpec, ray_session: None) -> None:
    recipe = Recipe.of(spec)
    numbers = list(range(1500))
    texts = [TEXTS[n % 40] for n in numbers]
    documents = ray.data.from_arrow(
        [pa.table({"n": numbers[a : a + 300], "text": texts[a : a + 300]}) for a in range(0, 1500, 300)]
    )
    one = ActorPoolStrategy(size=1)
    chunks = documents.map_batches(
        ChunkTokenizer, fn_constructor_kwargs={"recipe": recipe}, batch_size=1024, batch_format="pyarrow", compute=one,
        num_cpus=0.5,
    )  # fmt: skip
    vectors = chunks.map_batches(
        ChunkEncoder, fn_constructor_kwargs={"recipe": recipe}, batch_size=1024, batch_format="pyarrow", compute=one,
        num_cpus=0.5,
    )  # fmt: skip
    found = pa.concat_tables(list(vectors.iter_batches(batch_size=None, batch_format="pyarrow")))
    assert found.column_names == ["n", "text", "num_tokens", "truncated", "embedding"]
    assert sorted(found["n"].to_pylist()) == numbers
    expected = Encoder(spec).encode(TEXTS)[np.array(found["n"].to_pylist()) % 40]
    np.testing.assert_allclose(vectors_to_numpy(found["embedding"]), expected, atol=1e-5)


def test_columns_of_a_part() -> None:
    columns = DocumentColumns(
        texts=("text",), separator="", id="key", id_name="key", id_type=pa.int64(), passthrough={"year": pa.int32()}
    )
    spec = EmbedSpec(model="m", id="key", passthrough=["year"])
    assert part_columns(columns, spec) == ["key", "embedding", "num_tokens", "truncated", "year"]
    chunked = EmbedSpec(model="m", id="key", overlong="chunk")
    assert part_columns(columns, chunked)[4:7] == ["chunk_index", "char_start", "char_end"]


@pytest.mark.parametrize(
    ("pool", "num_gpus", "device"),
    [
        (EncodePool(), 0, "cpu"),
        (EncodePool(), 0.5, "cuda"),
        (EncodePool(device="cpu"), 1, "cpu"),
        (EncodePool(device="cuda"), 1, "cuda"),
    ],
)
def test_the_device_follows_from_what_an_actor_takes(pool: EncodePool, num_gpus: float, device: str) -> None:
    assert _device(pool, num_gpus) == device
