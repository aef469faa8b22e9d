"""predict: chunks of token ids -> what a model says of them, on the GPU pool.

torch is imported by the actors alone, as in ``pipelines.stages.encode``.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import ray
from ray.data import Dataset

from pipelines.predict_spec import PredictSpec
from pipelines.schema import CHUNK_FIELDS, flat
from pipelines.spec import EncodePool, refuse
from pipelines.stages.actors import ActorPool, on_slices
from pipelines.stages.attempts import Attempts
from pipelines.stages.documents import DocumentColumns
from pipelines.stages.encode import encoder_settings, facts_of, reference_of, stats_of
from pipelines.stages.recipe import Recipe
from pipelines.stages.sentences import pairs_from_arrow
from pipelines.stages.slicewise import ROW, Outcome, slicewise, without
from pipelines.stages.tokenize import CHARS, INPUT_IDS, SEGMENT_B_START, SENTENCES, WORD_IDS, WORKING

if TYPE_CHECKING:
    from pipelines.model.inputs import Inputs
    from pipelines.model.reader import Reader


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
        refuse(gpu, "compile", "what predicts is not compiled: set it to false")
    settings = encoder_settings(gpu, pool, num_threads)
    del settings["compile"]
    return settings


def output_columns(spec: PredictSpec) -> list[str]:
    """Names of the columns that the spec's outputs make, in order."""
    several = {
        "fill_mask": ["fill_mask", "filled"],
        "pseudo_perplexity": ["pseudo_perplexity", *(["token_log_probs"] if spec.token_log_probs else [])],
        "next_sentence": ["next_sentences" if spec.asks_for_sentences else "next_sentence"],
    }
    return [name for output in spec.outputs for name in several.get(output, [output])]


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
        from pipelines.model.reader import Reader
        from pipelines.model.tokenizer import DocumentTokenizer

        folder, self._spec = recipe.network_folder(), recipe.spec
        tokenizer = DocumentTokenizer(folder, recipe.spec)
        reader = Reader(folder, recipe.spec, **(settings or {}))
        check(reader, tokenizer, ray.get(gate) if gate else reference_of(recipe))
        self._predictor = Predictor(reader, tokenizer, recipe.spec)
        self._facts = facts_of(reader) | _labels(reader)
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
        from pipelines.stages.answers import columns_of

        inputs = inputs_of(table)
        predictions = self._predictor.predict(inputs)
        rows = table[ROW].to_numpy()
        failures = {int(rows[chunk]): reason for chunk, reason in predictions.failures.items()}
        table = table.drop_columns([name for name in WORKING if name in table.column_names])
        for output, found in predictions.found.items():
            for name, column in columns_of(output, found, inputs, self._spec).items():
                table = table.append_column(name, column)
        return Outcome(
            table=without(table, list(failures)),
            failures=failures,
            stats=stats_of(predictions.stats),
            facts=self._facts,
        )


def _labels(reader: Reader) -> dict[str, str]:
    """The names that a classifier's numbers stand for, in their order, for the parts' footers."""
    classifier = reader.equipment.classifier
    return {"labels": json.dumps(classifier.labels.names)} if classifier else {}


def inputs_of(table: pa.Table) -> Inputs:
    """What a predictor reads, from the columns that the tokenizers made."""
    from pipelines.model.inputs import Inputs

    values, offsets = flat(table[INPUT_IDS])
    ragged = {name: flat(table[name])[0] for name in (WORD_IDS, CHARS) if name in table.column_names}
    starts = table[SEGMENT_B_START].to_numpy() if SEGMENT_B_START in table.column_names else None
    chars = ragged.get(CHARS)
    return Inputs(
        values=values,
        offsets=offsets,
        segment_b_start=starts,
        words=ragged.get(WORD_IDS),
        chars=None if chars is None else chars.reshape(-1, 2),
        sentences=pairs_from_arrow(table[SENTENCES]) if SENTENCES in table.column_names else None,
    )
