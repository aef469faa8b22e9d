"""What a run is going to make, told by a sample before it does: tokens, rows, padding, bytes, time and cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.predict_spec import PredictSpec
from pipelines.run.ground import Ground
from pipelines.run.order import Rates
from pipelines.run.plan import Plan
from pipelines.run.prospects.pace import Pace
from pipelines.run.prospects.sampled import Sampled
from pipelines.schema import CHUNK_FIELDS, EMBEDDING, codes_to_arrow, vectors_to_arrow
from pipelines.spec import DTYPE_BITS, EmbedSpec, EncodePool
from pipelines.store.parts import part_bytes
from pipelines.text.pack import CPU_TOKEN_BUDGET
from pipelines.text.padding import padding_of_slices

MOST_ROWS = 4096
"""Chunks of a slice whose batches are tried: more pad no more."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is expected of the documents that are to be done."""

    documents: int
    rows: int
    tokens: int
    tokens_error: float
    """Half the width of the 95 % interval, as a share."""
    truncated: int
    dead_letters: int
    padding_fraction: float
    write_bytes: int
    sampled: int
    """Documents that this was told by."""


def forecast(ground: Ground, plan: Plan, sampled: Sampled, gpu: EncodePool, made: pa.Table | None = None) -> Forecast:
    """The sample's numbers for all that is to be done. ``made`` are rows that an encoder made of some of it."""
    scale = plan.num_documents / sampled.num_documents if sampled.num_documents else 0.0
    rows = round(scale * len(sampled.lengths))
    row_bytes, file_bytes = _sizes(ground, sampled, made)
    return Forecast(
        documents=plan.num_documents,
        rows=rows,
        tokens=round(scale * sampled.tokens),
        tokens_error=sampled.tokens_error if sampled.num_documents < plan.num_documents else 0.0,
        truncated=round(scale * sampled.num_truncated),
        dead_letters=round(scale * sampled.num_dead_letters),
        padding_fraction=_padding(sampled, gpu, math.ceil(rows / max(1, plan.num_slices))),
        write_bytes=round(rows * row_bytes + plan.num_slices * file_bytes),
        sampled=sampled.num_documents,
    )


def _padding(sampled: Sampled, gpu: EncodePool, rows_a_slice: int) -> float:
    """0 where a GPU packs, as it does in half precision."""
    if on_gpu(gpu):
        return 0.0
    budget = CPU_TOKEN_BUDGET if gpu.token_budget == "auto" else gpu.token_budget
    return padding_of_slices(sampled.lengths, min(rows_a_slice, MOST_ROWS), budget)


def on_gpu(gpu: EncodePool) -> bool:
    """Whether the settings say that encoders have a GPU."""
    return gpu.device == "cuda" or gpu.num_gpus not in ("auto", 0)


def _sizes(ground: Ground, sampled: Sampled, made: pa.Table | None) -> tuple[float, int]:
    """Bytes of a row in a part, and of a part beside its rows."""
    spec = ground.recipe.spec
    if isinstance(spec, PredictSpec) and made is not None and made.num_rows:
        return row_and_file(made.drop_columns([name for name in made.column_names if name.startswith("_")]), ground)
    beside = [*ground.columns.carried, "num_tokens", "truncated", *(name for name, _ in CHUNK_FIELDS)]
    table = sampled.chunks.select([name for name in beside if name in sampled.chunks.column_names])
    if isinstance(spec, EmbedSpec):
        return row_and_file(table.append_column(EMBEDDING, _zeros(spec, table.num_rows)), ground)
    row, file = row_and_file(table, ground)
    mean = max(3, math.ceil(sampled.lengths.mean())) if len(sampled.lengths) else 3
    typical = replace(spec, max_seqlen=mean, overlong="truncate", stride=0)  # else it reckons with the longest chunk
    return row + typical.output_bytes(ground.recipe.folder().hidden_size), file


def _zeros(spec: EmbedSpec, num_rows: int) -> pa.Array:
    """Vectors that take the room of any others: they are stored as they are."""
    if spec.is_quantized:
        return codes_to_arrow(np.zeros((num_rows, int(spec.dim) * DTYPE_BITS[spec.output_dtype] // 8), np.uint8))
    return vectors_to_arrow(
        np.zeros((num_rows, int(spec.dim)), spec.output_dtype), pa.type_for_alias(spec.output_dtype)
    )


def row_and_file(table: pa.Table, ground: Ground) -> tuple[float, int]:
    """Bytes of a row of these in a part, and of a part beside its rows."""
    table = table.replace_schema_metadata(ground.told)
    empty = len(part_bytes(table.slice(0, 0)))
    return (len(part_bytes(table)) - empty) / max(1, table.num_rows), empty


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """How long so many actors take, and what that costs by pool."""

    encoders: int
    tokenizers: int
    seconds: float
    cost: Mapping[str, float]


def outlook(tokens: int, pace: Pace, rates: Rates, *, encoders: int, tokenizers: int) -> Outlook:
    """The time of the encode phase once the actors are up: encoders that never wait."""
    seconds = tokens / (pace.tokens_per_second * encoders)
    cost = rates.cost(seconds, encoders=encoders, tokenizers=tokenizers)
    return Outlook(encoders=encoders, tokenizers=tokenizers, seconds=seconds, cost=cost)


def planned(expected: Forecast, view: Outlook | None, pace: Pace | None, rates: Rates) -> dict[str, Any]:
    """The plan as a report keeps it."""
    told = asdict(expected)
    if view and pace:
        told |= {"seconds": view.seconds, "tokens_per_second_an_actor": pace.tokens_per_second, "pace": pace.source}
        told |= {"cost": dict(view.cost)} if rates.are_told else {}
    return told
