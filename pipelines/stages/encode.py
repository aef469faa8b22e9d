"""encode: chunks of token ids -> vectors, on the GPU pool (on the CPUs where there is none).

torch is imported by the actors alone: the driver, which only names them, starts seconds sooner without.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import ray
from ray.data import Dataset

from pipelines.fingerprint import fingerprint
from pipelines.model.quantize import Floats, Quantizer
from pipelines.schema import CHUNK_FIELDS, EMBEDDING, codes_to_arrow, flat, vectors_to_arrow
from pipelines.spec import EmbedSpec, EncodePool
from pipelines.stages.actors import ActorPool, on_slices
from pipelines.stages.attempts import Attempts
from pipelines.stages.documents import DocumentColumns
from pipelines.stages.recipe import Recipe
from pipelines.stages.slicewise import ROW, Outcome, slicewise, without
from pipelines.stages.tokenize import INPUT_IDS
from pipelines.store.cache import kept

if TYPE_CHECKING:
    from pipelines.model.encoder import Encoder
    from pipelines.model.gate import GateReference
    from pipelines.model.loop import LoopStats
    from pipelines.model.reader import Reader


def encode(
    chunks: Dataset,
    recipe: Recipe[EmbedSpec],
    gpu: EncodePool,
    pool: ActorPool,
    *,
    num_threads: int,
    quantizer: Quantizer,
) -> Dataset:
    """Chunks with ``input_ids`` become rows with ``embedding``.

    It is fixed_size_list<float32 or float16>[dim], or what the quantizer makes: fixed_size_binary[dim] for int8, [dim
    / 8] for binary. Several actors are all held against what one task computes; a lone actor computes it itself, which
    spares a process.
    """
    settings = encoder_settings(gpu, pool, num_threads)
    return on_slices(
        chunks, ChunkEncoder, pool,
        recipe=recipe, settings=settings, gate=gate_of(recipe, pool), quantizer=quantizer, attempts=Attempts(),
    )  # fmt: skip


def gate_of(recipe: Recipe[EmbedSpec], pool: ActorPool) -> ray.ObjectRef | None:
    """What all encoders of a pool are held against, made by one task; None of a pool of one, which makes its own."""
    return ray.remote(reference_of).options(num_cpus=0).remote(recipe) if pool.max > 1 else None


def encoder_settings(gpu: EncodePool, pool: ActorPool, num_threads: int) -> dict[str, Any]:
    """How an encoder of the pool runs."""
    return {
        "device": _device(gpu, pool.num_gpus),
        "num_threads": num_threads,
        "token_budget": gpu.token_budget,
        "compile": gpu.compile,
    }


def part_columns(columns: DocumentColumns, spec: EmbedSpec) -> list[str]:
    """Columns of a part, in order: ids, embedding, num_tokens, truncated, those of chunks, those passed through."""
    chunked = [name for name, _ in CHUNK_FIELDS] if spec.overlong == "chunk" else []
    return [columns.id_name, EMBEDDING, "num_tokens", "truncated", *chunked, *columns.passthrough]


def _device(gpu: EncodePool, num_gpus: float) -> str:
    if gpu.device != "auto":
        return gpu.device
    return "cuda" if num_gpus else "cpu"


class ChunkEncoder:
    """Actor that encodes slices of chunks, or any table with a column ``input_ids``. It passes the gate first."""

    def __init__(
        self,
        recipe: Recipe[EmbedSpec],
        settings: dict[str, Any] | None = None,
        gate: ray.ObjectRef | None = None,
        attempts: Attempts | None = None,
        quantizer: Quantizer | None = None,
    ) -> None:
        from pipelines.model.encoder import Encoder
        from pipelines.model.gate import check
        from pipelines.model.tokenizer import DocumentTokenizer

        folder = recipe.network_folder()
        tokenizer = DocumentTokenizer(folder, recipe.spec)
        self._encoder = Encoder(folder, recipe.spec, **(settings or {}))
        self._quantizer = quantizer or Quantizer(recipe.spec.output_dtype)
        self._prompt_tokens = tokenizer.prompt_length
        check(self._encoder, tokenizer, ray.get(gate) if gate else reference_of(recipe))
        self._facts = facts_of(self._encoder)
        self._attempts = attempts
        self._idle_since = time.perf_counter()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """A slice of chunks becomes a slice of vectors; a plain table likewise."""
        waited = {"encode_wait_seconds": time.perf_counter() - self._idle_since}
        try:
            return slicewise(batch, "encode", self._encode, self._attempts, waited)
        finally:
            self._idle_since = time.perf_counter()

    def _encode(self, chunks: pa.Table) -> Outcome:
        values, offsets = flat(chunks[INPUT_IDS])
        encoded = self._encoder.encode(values, offsets, self._prompt_tokens)
        rows = chunks[ROW].to_numpy()
        failures = {int(rows[chunk]): reason for chunk, reason in encoded.failures.items()}
        vectors = encoded.vectors[~np.isin(rows, list(failures))] if failures else encoded.vectors
        table = without(chunks.drop_columns([INPUT_IDS]), list(failures))
        table = table.append_column(EMBEDDING, self._column(vectors))
        stats = stats_of(encoded.stats) | {"clipped_numbers": self._quantizer.num_clipped(vectors)}
        return Outcome(table=table, failures=failures, stats=stats, facts=self._facts)

    def _column(self, vectors: Floats) -> pa.Array:
        numbers = self._quantizer.quantize(vectors)
        if numbers.dtype.itemsize == 1:
            return codes_to_arrow(numbers)
        return vectors_to_arrow(numbers, pa.from_numpy_dtype(numbers.dtype))


def facts_of(encoder: Encoder | Reader) -> dict[str, str]:
    """What runs, for the parts' footers and the report."""
    import torch

    chip = {"chip": torch.cuda.get_device_name()} if encoder.device == "cuda" else {}
    return {"precision": encoder.precision, "path": encoder.path, "device": encoder.device, **chip}


def reference_of(recipe: Recipe[Any]) -> GateReference:
    """What the plain path gives. It is kept on this machine: computing it takes transformers, seconds to import."""
    from pipelines.model.gate import GateReference, edition, reference

    spec = recipe.spec
    if isinstance(spec, EmbedSpec):
        spec = replace(spec, output_dtype="float32")  # it is held against what is not rounded yet
    key = f"{edition()} {fingerprint(spec, recipe.identity.hash)}"
    data = kept("gates", key, lambda: reference(recipe.network_folder(), recipe.spec).to_bytes())
    return GateReference.from_bytes(data)


def stats_of(stats: LoopStats) -> dict[str, float]:
    """What the loop did, by the names of a slice's stats."""
    return {
        "encode_compute_seconds": stats.compute_seconds,
        "encode_convert_seconds": stats.convert_seconds,
        "encode_tokens": stats.num_tokens,
        "encode_computed_tokens": stats.num_computed_tokens,
        "encode_flops": stats.flops,
    }
