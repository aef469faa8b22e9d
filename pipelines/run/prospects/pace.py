"""How many tokens a second an encode actor makes: as told, as the output's last run had it, or as measured here."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.predict_spec import PredictSpec
from pipelines.run.order import Rates
from pipelines.schema import SliceHeader, fold, unfold
from pipelines.spec import DocumentSpec, EncodePool
from pipelines.stages.encode import ChunkEncoder
from pipelines.stages.predict import ChunkPredictor
from pipelines.stages.recipe import Recipe
from pipelines.store.location import Location

MEASURE_SECONDS, FIRST_ROWS = 5.0, 32
RUNS = "_manta/runs/"
Spent = Callable[[Mapping[str, Any]], tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Tokens a second of one encode actor (of prepare: of one maker) while it works, and how that is known."""

    tokens_per_second: float
    source: str


def encoded_tokens(report: Mapping[str, Any]) -> tuple[float, float]:
    """Tokens that a run encoded, and the seconds that its encoders worked."""
    spent = report.get("stage_seconds", {})
    return report.get("encoded_tokens", 0), sum(spent.get(f"encode {what}", 0.0) for what in ("compute", "convert"))


def made_tokens(report: Mapping[str, Any]) -> tuple[float, float]:
    """Tokens of the sentences of a run of prepare, and the seconds that its makers worked."""
    spent = report.get("stage_seconds", {})
    counts = report.get("instances") or {}
    return counts.get("sentence_tokens", 0), sum(spent.get(stage, 0.0) for stage in ("tokenize", "instances"))


def known_pace(rates: Rates, output: Location, spent: Spent = encoded_tokens) -> Pace | None:
    """The pace that the user tells, else that of the output's last run that worked; None where there is neither.

    ``spent`` tells of a report what was worked on, and for how long.
    """
    if rates.tokens_per_second:
        return Pace(tokens_per_second=rates.tokens_per_second, source="given")
    for key in sorted((entry.key for entry in output.list(RUNS)), reverse=True):
        report = json.loads(output.read(key))
        tokens, seconds = spent(report)
        if tokens and seconds:
            device = report["facts"].get("chip") or report["facts"].get("device")
            return Pace(
                tokens_per_second=tokens / seconds, source=f"run {report['run']}" + (f" on {device}" if device else "")
            )
    return None


def measured_pace(recipe: Recipe[Any], gpu: EncodePool, chunks: pa.Table) -> tuple[Pace | None, pa.Table]:
    """What an encoder makes of a sample's chunks in this process, and the rows that it made of some of them.

    It takes ever more at a time, for some seconds, and the last time counts. None where there is no token.
    """
    encoder, pace = _encoder(recipe, gpu), None
    rows, began = pa.table({}), time.perf_counter()
    for some in _growing(chunks.take(pa.array(np.random.default_rng(0).permutation(chunks.num_rows)))):
        header = SliceHeader(shard="", shard_id="sample", first_row=0, num_documents=some.num_rows)
        rows, header = unfold(encoder(fold(some, header)))
        seconds = sum(header.stats[f"encode_{what}_seconds"] for what in ("compute", "convert"))
        where = f"{header.facts.get('chip') or header.facts['device']} in {header.facts['precision']}"
        if header.stats["encode_tokens"] and seconds:
            pace = Pace(tokens_per_second=header.stats["encode_tokens"] / seconds, source=f"measured here, on {where}")
        if time.perf_counter() - began > MEASURE_SECONDS:
            break
    return pace, rows


def _growing(chunks: pa.Table) -> Iterator[pa.Table]:
    """Pieces of it, each twice as large as the one before; what is left over is no piece unless it is all."""
    first, size = 0, min(FIRST_ROWS, chunks.num_rows)
    while size and first + size <= chunks.num_rows:
        yield chunks.slice(first, size)
        first, size = first + size, 2 * size


def _encoder(recipe: Recipe[DocumentSpec], gpu: EncodePool) -> Any:
    settings = {"device": gpu.device, "num_threads": gpu.num_threads, "token_budget": gpu.token_budget}
    if isinstance(recipe.spec, PredictSpec):
        return ChunkPredictor(recipe, settings)  # type: ignore[arg-type]
    floats = replace(recipe, spec=replace(recipe.spec, output_dtype="float32"))  # type: ignore[call-arg]
    return ChunkEncoder(floats, settings | {"compile": gpu.compile})  # type: ignore[arg-type]
