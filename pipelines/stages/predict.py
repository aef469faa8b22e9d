"""predict: chunks of token ids -> what a masked language model says of them, on the GPU pool.

torch is imported by the actors alone, as in ``pipelines.stages.encode``.
"""

from __future__ import annotations

import time
from typing import Any

import pyarrow as pa
import ray
from ray.data import Dataset

from pipelines.schema import CHUNK_FIELDS, flat
from pipelines.spec import EncodePool, PredictSpec, refuse
from pipelines.stages.actors import ActorPool, on_slices
from pipelines.stages.attempts import Attempts
from pipelines.stages.documents import DocumentColumns
from pipelines.stages.encode import encoder_settings, facts_of, reference_of, stats_of
from pipelines.stages.recipe import Recipe
from pipelines.stages.slicewise import ROW, Outcome, slicewise, without
from pipelines.stages.tokenize import INPUT_IDS, WORD_IDS


def predict(
    chunks: Dataset, recipe: Recipe[PredictSpec], gpu: EncodePool, pool: ActorPool, *, num_threads: int
) -> Dataset:
    """Chunks with ``input_ids`` become rows with the columns of the spec's outputs (``output_columns``).

    Several actors are all held against what one task computes; a lone actor computes it itself.
    """
    settings = predictor_settings(gpu, pool, num_threads)
    gate = ray.remote(reference_of).options(num_cpus=0).remote(recipe) if pool.max > 1 else None
    return on_slices(chunks, ChunkPredictor, pool, recipe=recipe, settings=settings, gate=gate, attempts=Attempts())


def predictor_settings(gpu: EncodePool, pool: ActorPool, num_threads: int) -> dict[str, Any]:
    """How a predictor of the pool runs. SpecError where it is to be compiled."""
    if gpu.compile:
        refuse(gpu, "compile", "a masked language model is not compiled: set it to false")
    settings = encoder_settings(gpu, pool, num_threads)
    del settings["compile"]
    return settings


def output_columns(spec: PredictSpec) -> list[str]:
    """Names of the columns that the spec's outputs make, in order."""
    columns = {
        "fill_mask": ["fill_mask", "filled"],
        "pseudo_perplexity": ["pseudo_perplexity", *(["token_log_probs"] if spec.token_log_probs else [])],
    }
    return [name for output in spec.outputs for name in columns[output]]


def part_columns(columns: DocumentColumns, spec: PredictSpec) -> list[str]:
    """Columns of a part, in order: ids, the outputs', num_tokens, truncated, those of chunks, those passed through."""
    chunked = [name for name, _ in CHUNK_FIELDS] if spec.overlong == "chunk" else []
    return [columns.id_name, *output_columns(spec), "num_tokens", "truncated", *chunked, *columns.passthrough]


class ChunkPredictor:
    """Actor that predicts for slices of chunks, or any table with a column ``input_ids``. It passes the gate first."""

    def __init__(
        self,
        recipe: Recipe[PredictSpec],
        settings: dict[str, Any] | None = None,
        gate: ray.ObjectRef | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        from pipelines.model.gate import check
        from pipelines.model.predictor import Predictor
        from pipelines.model.scorer import MaskScorer
        from pipelines.model.tokenizer import DocumentTokenizer

        folder, self._spec = recipe.folder(), recipe.spec
        tokenizer = DocumentTokenizer(folder, recipe.spec)
        scorer = MaskScorer(folder, recipe.spec, **(settings or {}))
        check(scorer, tokenizer, ray.get(gate) if gate else reference_of(recipe))
        self._predictor = Predictor(scorer, tokenizer, recipe.spec)
        self._facts = facts_of(scorer)
        self._attempts = attempts
        self._idle_since = time.perf_counter()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """A slice of chunks becomes a slice of predictions; a plain table likewise."""
        waited = {"encode_wait_seconds": time.perf_counter() - self._idle_since}
        try:
            return slicewise(batch, "encode", self._predict, self._attempts, waited)
        finally:
            self._idle_since = time.perf_counter()

    def _predict(self, table: pa.Table) -> Outcome:
        from pipelines.model.loop import Chunks, LoopStats
        from pipelines.stages.answers import columns_of

        chunks = Chunks(*flat(table[INPUT_IDS]))
        words = flat(table[WORD_IDS])[0] if WORD_IDS in table.column_names else None
        failures: dict[int, str] = {}
        total = LoopStats()
        rows = table[ROW].to_numpy()
        table = table.drop_columns([name for name in (INPUT_IDS, WORD_IDS) if name in table.column_names])
        for output in self._spec.outputs:
            found = self._predictor.predict(output, chunks, words)
            failures |= {int(rows[chunk]): reason for chunk, reason in found.failures.items()}
            total = total.plus(found.stats)
            for name, column in columns_of(found, chunks, self._spec).items():
                table = table.append_column(name, column)
        return Outcome(
            table=without(table, list(failures)), failures=failures, stats=stats_of(total), facts=self._facts
        )
