from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.predict_spec import PredictSpec
from pipelines.run.order import Rates
from pipelines.run.prospects.pace import Pace, known_pace, made_tokens, measured_pace
from pipelines.spec import EmbedSpec, EncodePool
from pipelines.stages.recipe import Recipe
from pipelines.stages.tokenize import ChunkTokenizer
from pipelines.store.location import Location, locate
from tests.tiny import sentence

ONE_THREAD = EncodePool(device="cpu", num_threads=1)


def put_run(output: Location, run: str, tokens: int, **more: object) -> None:
    report = {"run": run, "encoded_tokens": tokens, "facts": {"device": "cpu"}} | more
    spent = {"encode wait": 100.0, "encode compute": 8.0, "encode convert": 2.0}
    output.put(f"_manta/runs/{run}.json", json.dumps({"stage_seconds": spent} | report).encode())


def test_what_is_given_comes_first_then_the_last_run_that_encoded(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    assert known_pace(Rates(), output) is None
    put_run(output, "20260101T000000Z-aa", 500)
    put_run(output, "20260102T000000Z-bb", 1000, facts={"device": "cuda", "chip": "NVIDIA H200"})
    put_run(output, "20260103T000000Z-cc", 0)  # only removed what had vanished
    assert known_pace(Rates(), output) == Pace(tokens_per_second=100.0, source="run 20260102T000000Z-bb on NVIDIA H200")
    assert known_pace(Rates(tokens_per_second=7), output) == Pace(tokens_per_second=7, source="given")


def test_makers_are_as_fast_as_in_the_last_run_that_made_instances(tmp_path: Path) -> None:
    """600 tokens of sentences in 3 + 1 s. A run that made none tells nothing."""
    output = locate(str(tmp_path))
    spent = {"tokenize": 3.0, "instances": 1.0, "write": 9.0}
    put_run(output, "20260101T000000Z-aa", 0, facts={}, stage_seconds=spent, instances={"sentence_tokens": 600})
    put_run(output, "20260102T000000Z-bb", 0, facts={}, stage_seconds=spent, instances=None)
    assert known_pace(Rates(), output) is None
    assert known_pace(Rates(), output, made_tokens) == Pace(tokens_per_second=150.0, source="run 20260101T000000Z-aa")


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_measured_on_a_sample(dtype: str, tiny_model: Path) -> None:
    recipe = Recipe.of(EmbedSpec(model=str(tiny_model), precision="float32", output_dtype=dtype))  # type: ignore[arg-type]
    texts = pa.table({"text": [sentence(number) for number in range(100)], "_row": range(100)})
    pace, rows = measured_pace(recipe, ONE_THREAD, ChunkTokenizer(recipe)(texts))
    assert pace is not None
    assert pace.tokens_per_second > 0
    assert pace.source == "measured here, on cpu in float32"
    assert rows.num_rows in (32, 64)  # the last time, of 32 and 64: no third
    assert "embedding" in rows.column_names


def test_measured_where_there_is_little_or_nothing(tiny_model: Path) -> None:
    recipe = Recipe.of(PredictSpec(model=str(tiny_model), precision="float32", outputs=["embedding_mean"]))
    texts = pa.table({"text": [sentence(1)], "_row": [0]})
    chunks = ChunkTokenizer(recipe)(texts)
    pace, rows = measured_pace(recipe, ONE_THREAD, chunks)
    assert pace is not None
    assert (rows.num_rows, "embedding_mean" in rows.column_names) == (1, True)
    assert measured_pace(recipe, ONE_THREAD, chunks.slice(0, 0))[0] is None
